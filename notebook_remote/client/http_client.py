"""Sends HTTP requests to one gateway: with credentials, cookies, retries and limits."""

from __future__ import annotations

import asyncio
import http.cookiejar
import re
import secrets
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx

from ..concurrency import backoff
from ..config.gateway import Gateway
from ..exceptions import GatewayAnswerError, GatewayUnreachable
from ..types import JsonObject
from .address import GatewayAddress
from .auth import GatewayAuth
from .errors import UNAVAILABLE, GatewayErrors, WrongScheme
from .scheme_check import check_scheme, connect_checking_scheme
from .transport import async_http_client

READ_TIMEOUT = 10.0  # seconds for a GET, which gateways answer from memory; request_timeout if less
MAX_RETRIES = 10  # as in jupyter_server's client
RETRY_DELAY = 0.1  # seconds before the first retry
MAX_RESPONSE_SIZE = 32 * 1024 * 1024  # bytes; a list of a thousand kernels has 1 % of that
# Headers that do not apply to a body that is received and decoded.
TRANSFER_HEADERS = ("content-encoding", "content-length", "transfer-encoding")


class GatewayHttpClient:
    """An HTTP client for one gateway; its methods raise GatewayError.

    ``ready`` is awaited before each request: an embedded gateway may still be starting.
    """

    def __init__(
        self,
        config: Gateway,
        auth: GatewayAuth,
        tls: ssl.SSLContext,
        ready: Callable[[], Awaitable[None]],
        address: GatewayAddress | None = None,
    ) -> None:
        self.config = config
        self.address = address or GatewayAddress(config)
        self.auth = auth
        self.errors = GatewayErrors(config, self.address, auth)
        self._ready = ready
        self._tls = tls
        self._cookies = httpx.Cookies()
        if not config.accept_cookies:
            accept_none = http.cookiejar.DefaultCookiePolicy(allowed_domains=[])
            self._cookies.jar.set_policy(accept_none)
        self._scheme_is_right = False  # known after the first answer
        self._xsrf = ""  # token for a Jupyter Server without authentication
        self._in_flight: Counter[httpx.AsyncClient] = Counter()  # number of requests of each
        self._closed = False
        self._http = self._new_http_client()

    def _new_http_client(self) -> httpx.AsyncClient:
        return async_http_client(self.config, self._tls, self._cookies.jar)

    async def renew_connections(self) -> None:
        """Replace the connection pool; requests in flight finish on the old one.

        Called when a WebSocket has gone silent: the pool's connections may be dead as well.
        """
        if self._closed:
            return
        old, self._http = self._http, self._new_http_client()
        if not self._in_flight[old]:
            await old.aclose()

    async def close(self) -> None:
        """Close all connections. Requests in flight, and later ones, raise GatewayUnreachable."""
        self._closed = True
        for client in {self._http, *self._in_flight}:
            await client.aclose()

    async def answers(self) -> bool:
        """Whether the gateway itself, not only a proxy, answers HTTP on a new connection."""
        await self._ready()
        timeout = httpx.Timeout(self.config.link_timeout, connect=self.config.connect_timeout)
        async with self._new_http_client() as client:
            try:
                response = await client.get(f"{self.address.url}/api", timeout=timeout)
            except httpx.HTTPError:
                return False
        return response.status_code not in UNAVAILABLE

    async def headers(self, url: str, changes: bool = False) -> dict[str, str]:
        """Headers with our credentials and cookies, for a request or a WebSocket handshake.

        ``url`` is the address as http or https, for the cookie jar. ``changes`` is for a request
        that changes something: it may need an XSRF token.
        """
        headers = await self.auth.headers()
        configured = [headers.pop(name) for name in list(headers) if name.lower() == "cookie"]
        request = httpx.Request("GET", url)
        self._cookies.set_cookie_header(request)
        cookies = [*configured, *request.headers.get_list("Cookie")]
        if changes and self._xsrf and "x-xsrftoken" not in map(str.lower, headers):
            known = re.search(r"(?:^|; ?)_xsrf=([^;]*)", "; ".join(cookies))
            headers["X-XSRFToken"] = known[1] if known else self._xsrf
            cookies += [] if known else [f"_xsrf={self._xsrf}"]
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        return headers

    def keep_cookies(self, url: str, set_cookie: list[str]) -> None:
        """Store the cookies of the response to a WebSocket handshake."""
        headers = [("Set-Cookie", value) for value in set_cookie]
        response = httpx.Response(101, headers=headers, request=httpx.Request("GET", url))
        self._cookies.extract_cookies(response)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: JsonObject | None = None,
        params: dict[str, str] | None = None,
        timeout: float | None = None,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Send one request; a status of 300 or more raises unless it is in ``accept``."""
        await self._ready()
        if timeout is None:
            limit = self.config.request_timeout
            timeout = min(READ_TIMEOUT, limit) if method == "GET" else limit
        retries = max(0, min(self.config.max_request_retries, MAX_RETRIES))
        attempts = 1 + (retries if method in ("GET", "DELETE") else 0)
        for attempt, delay in enumerate(backoff(RETRY_DELAY), 1):
            is_last = attempt == attempts
            url = self.address.url + path
            headers = await self.headers(url, changes=method != "GET")
            try:
                response = await self._attempt(
                    method,
                    url,
                    timeout,
                    json={} if body is None and method == "POST" else body,
                    params=params,
                    headers=headers,
                )
            except WrongScheme as error:
                raise self.errors.no_answer(error) from None
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
                # After a timeout, a retry would only double the wait.
                if is_last or isinstance(error, httpx.TimeoutException):
                    raise await self._unreachable(url, error) from None
            else:
                if is_last or response.status_code not in UNAVAILABLE:
                    break
            await asyncio.sleep(delay)
        if response.status_code == 403 and not self._xsrf and "_xsrf" in response.text:
            # A Jupyter Server without authentication wants an XSRF token, equal in a cookie and a
            # header, for requests that change something; any value will do. It rejected this
            # request, so it can be sent again.
            self._xsrf = secrets.token_hex(16)
            return await self._send(
                method, path, body=body, params=params, timeout=timeout, accept=accept
            )
        if response.status_code >= 300 and response.status_code not in accept:
            raise self.errors.for_status(response)
        return response

    async def _attempt(
        self, method: str, url: str, timeout: float, **kwargs: Any
    ) -> httpx.Response:
        """Send a request once; check the URL's scheme if there was no answer so far.

        Raises WrongScheme, httpx.HTTPError.
        """

        async def attempt(connect: float) -> httpx.Response:
            limits = httpx.Timeout(timeout, connect=connect)
            return await self._request(method, url, timeout=limits, **kwargs)

        config = self.config
        if self._scheme_is_right:
            return await attempt(config.connect_timeout)
        response = await connect_checking_scheme(url, config.proxy, config.connect_timeout, attempt)
        if response.status_code == 400:  # as nginx answers HTTP on a port for TLS
            await check_scheme(url, config.proxy)
        self._scheme_is_right = True
        return response

    async def _unreachable(self, url: str, error: Exception) -> GatewayUnreachable:
        """The error for a request without an answer: it may be due to a wrong scheme."""
        if not self._scheme_is_right:
            try:
                await check_scheme(url, self.config.proxy)
            except WrongScheme as wrong:
                return self.errors.no_answer(wrong)
        return self.errors.no_answer(error)

    async def _request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        if self._closed:
            raise self.errors.closed()
        client = self._http
        self._in_flight[client] += 1
        timeout: httpx.Timeout = kwargs["timeout"]
        total = (timeout.read or 0) + (timeout.connect or 0)
        try:
            # httpx's timeouts are for each read: an answer that drips would never end.
            with anyio.fail_after(total):
                return await self._receive(client, method, url, **kwargs)
        except TimeoutError:
            raise httpx.ReadTimeout("the answer took too long") from None
        except Exception:
            if self._closed:  # a request on a closed connection may fail with any error
                raise self.errors.closed() from None
            raise
        finally:
            self._in_flight[client] -= 1
            if not self._in_flight[client]:
                del self._in_flight[client]
                if client is not self._http:
                    await client.aclose()

    async def _receive(
        self, client: httpx.AsyncClient, method: str, url: str, **kwargs: Any
    ) -> httpx.Response:
        """Send a request and read its answer up to MAX_RESPONSE_SIZE. Raises httpx's errors."""
        content = bytearray()
        async with client.stream(method, url, **kwargs) as response:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_RESPONSE_SIZE:
                    raise GatewayAnswerError(
                        f"{self.errors.where} answers {urlsplit(url).path} with more than"
                        f" {MAX_RESPONSE_SIZE // 2**20} MiB, as no Jupyter gateway does: check"
                        f" host, port and path prefix in {self.config.address_option}."
                    )
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in TRANSFER_HEADERS
        ]
        return httpx.Response(
            response.status_code, headers=headers, content=bytes(content), request=response.request
        )
