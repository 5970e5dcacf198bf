"""REST client of one gateway: one method per call, lower errors mapped once."""

from __future__ import annotations

import asyncio
import contextlib
import http.cookiejar
import json
import re
import secrets
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from ..config.gateway import Gateway
from ..exceptions import (
    GatewayAnswerError,
    GatewayAuthError,
    GatewayError,
    GatewayLimitReached,
    GatewayRefused,
    GatewayUnreachable,
    KernelNotFound,
    KernelSpecNotFound,
    KernelStartFailed,
)
from ..net.http_proxy import TunnelRefused
from ..redaction import without_secrets
from ..types import JsonObject
from .address import GatewayAddress
from .auth import GatewayAuth
from .errors import WrongScheme, unreachable
from .models import KERNEL_ID, kernel_model, kernelspec_model, says_kernel_is_gone
from .scheme_check import check_scheme, connecting
from .transport import async_http_client

RETRIED_STATUS = (502, 503, 504)
READ_TIMEOUT = 10.0  # seconds for what a gateway answers from memory; request_timeout if less
MAX_RETRIES = 10  # as in jupyter_server's client
MOST_WARNINGS = 100  # about what one gateway says that cannot be used
RETRY_PAUSE = 0.1  # seconds, doubled with each retry
MAX_ANSWER = 32 * 1024 * 1024  # bytes; lists of a thousand kernels have a hundredth of it
# How often a gateway is asked again about a kernel that it does not know, and the seconds between.
SECOND_LOOKS, SECOND_LOOK_PAUSE = 3, 1.0
# Of an answer that has been received and decoded.
OF_THE_TRANSFER = ("content-encoding", "content-length", "transfer-encoding")


class RestClient:
    """Talks REST to one gateway. Owned by the backend; every method raises GatewayError.

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
        self._ready = ready
        self._tls = tls
        self._cookies = httpx.Cookies()
        if not config.accept_cookies:
            nobody = http.cookiejar.DefaultCookiePolicy(allowed_domains=[])
            self._cookies.jar.set_policy(nobody)
        self._warned: set[str] = set()
        self._answered = False  # whether there was an answer, so that the scheme is right
        self._xsrf = ""  # what a Jupyter Server wants that asks for no token
        self._requests: Counter[httpx.AsyncClient] = Counter()  # that are under way
        self._closed = False
        self._http = self._new_http_client()

    def _new_http_client(self) -> httpx.AsyncClient:
        return async_http_client(self.config, self._tls, self._cookies.jar)

    async def renew_connections(self) -> None:
        """Replace the connection pool; requests in flight finish on the old one.

        Called when a link has silently gone: the pool's connections may have gone the same way.
        """
        if self._closed:
            return
        old, self._http = self._http, self._new_http_client()
        if not self._requests[old]:
            await old.aclose()

    async def close(self) -> None:
        """Close the connections that are kept open to the gateway.

        Requests that are under way, and later ones, raise GatewayUnreachable.
        """
        self._closed = True
        for connections in {self._http, *self._requests}:
            await connections.aclose()

    async def answers(self) -> bool:
        """Whether the gateway answers HTTP on a new connection, and not a proxy for it."""
        await self._ready()
        timeout = httpx.Timeout(self.config.link_timeout, connect=self.config.connect_timeout)
        async with self._new_http_client() as connections:
            try:
                response = await connections.get(f"{self.address.url}/api", timeout=timeout)
            except httpx.HTTPError:
                return False
        return response.status_code not in RETRIED_STATUS

    async def kind(self) -> str:
        """What the gateway is: ``enterprise-gateway``, or ``jupyter`` for the two others.

        And for a proxy that lets nothing but kernels and kernelspecs through.
        """
        try:
            model = self._object(await self._send("GET", "/api"))
        except (GatewayAnswerError, GatewayAuthError):
            return "jupyter"
        return "enterprise-gateway" if "gateway_version" in model else "jupyter"

    async def kernelspecs(self, user: str | None = None) -> JsonObject:
        """The answer of ``GET /api/kernelspecs``; Enterprise Gateway filters it by user."""
        params = {"user": user} if user else None
        response = await self._send("GET", self.config.kernelspecs_endpoint, params=params)
        model = self._object(response)
        listed = model.get("kernelspecs")
        if not isinstance(listed, dict):
            raise self._odd(response)
        specs = {name: kernelspec_model(name, spec) for name, spec in listed.items()}
        for name in (name for name, spec in specs.items() if spec is None):
            self._warn_once(
                f"The kernelspec {name[:100]!r} of the gateway at {self._where} is left out: what"
                " it says of it is no kernelspec."
            )
        default = model.get("default")
        return {
            "default": default if isinstance(default, str) else "",
            "kernelspecs": {name: spec for name, spec in specs.items() if spec is not None},
        }

    async def kernelspec(self, name: str) -> JsonObject:
        """The model of one kernelspec. Raises KernelSpecNotFound."""
        if name in (".", ".."):
            raise self._no_kernelspec(name)
        path = f"{self.config.kernelspecs_endpoint}/{quote(name, safe='')}"
        response = await self._send("GET", path, accept=(404,))
        if response.status_code == 404:
            raise self._no_kernelspec(name)
        model = kernelspec_model(name, self._object(response))
        if model is None:
            raise self._odd(response)
        return model

    async def kernelspec_resource(self, name: str, path: str) -> bytes | None:
        """A kernelspec's file, such as its logo, or None when there is none."""
        parts = [name, *path.split("/")]
        if any(part in ("", ".", "..") for part in parts):
            return None
        inside = "/".join(quote(part, safe="") for part in parts)
        url = f"{self.config.kernelspecs_resource_endpoint}/{inside}"
        response = await self._send("GET", url, accept=(404,))
        return None if response.status_code == 404 else response.content

    async def start_kernel(self, name: str, body: JsonObject) -> JsonObject:
        """Start a kernel and return its model. Takes up to ``Gateway.start_timeout`` seconds.

        Raises KernelSpecNotFound, KernelStartFailed, GatewayLimitReached, GatewayRefused.
        """
        response = await self._send(
            "POST",
            self.config.kernels_endpoint,
            body={"name": name, **body},
            timeout=self.config.start_timeout,
            accept=(400, 403, 404, 409, 500),
        )
        if response.status_code == 403:
            raise self._start_refused(response)
        if response.status_code >= 400:
            # No gateway says 404 for a name it does not know; they fail in different ways.
            listed = (await self.kernelspecs())["kernelspecs"]
            if name not in listed:
                raise self._no_kernelspec(name, listed)
            raise self._start_failed(f"The kernel {name!r} could not be started", response)
        return self._kernel(response)

    async def kernels(self) -> list[JsonObject] | None:
        """The gateway's kernels, or None where it forbids listing (403 unless configured)."""
        response = await self._send("GET", self.config.kernels_endpoint, accept=(403,))
        if response.status_code == 403:
            return None
        models = self._json(response)
        if not isinstance(models, list):
            raise self._odd(response)
        return [model for model in map(kernel_model, models) if model is not None]

    async def kernel(self, kernel_id: str) -> JsonObject:
        """A kernel's model. Raises KernelNotFound when the gateway says that it has none.

        That does not prove that it is gone: see ``is_gone``.
        """
        return self._kernel(await self._on_kernel("GET", kernel_id), kernel_id)

    async def is_gone(self, kernel_id: str) -> bool:
        """Whether a kernel is gone that the gateway has just said not to have; takes some seconds.

        Behind one address there may be several replicas, and what is being restarted may have not
        all of its kernels yet. Raises GatewayError.
        """
        if self.config.embedded:  # nothing is between us and that one
            return True
        for _ in range(SECOND_LOOKS):
            await asyncio.sleep(SECOND_LOOK_PAUSE)
            with contextlib.suppress(KernelNotFound):
                await self.kernel(kernel_id)
                return False
        return True

    async def resolve_path(self, kernel_id: str, path: str) -> str | None:
        """Where a file of a kernel is on its computer; None if the gateway does not know.

        Asked of a Jupyter Server, which has it since 2.17.
        """
        params = {"kernel": kernel_id, "path": path}
        response = await self._send("GET", "/api/resolvePath", params=params, accept=(400, 404))
        model = self._json(response)
        resolved = model.get("resolved") if isinstance(model, dict) else None
        for entry in resolved if isinstance(resolved, list) else ():
            if isinstance(entry, dict) and entry.get("scope") == "kernel":
                found = entry.get("path")
                return found if isinstance(found, str) else None
        return None

    async def interrupt(self, kernel_id: str) -> None:
        """Interrupt a kernel."""
        await self._on_kernel("POST", kernel_id, "/interrupt")

    async def restart(self, kernel_id: str) -> None:
        """Restart a kernel. Raises KernelStartFailed, KernelNotFound."""
        timeout = self.config.start_timeout
        response = await self._on_kernel(
            "POST", kernel_id, "/restart", timeout=timeout, accept=(500,)
        )
        if response.status_code == 500:
            await self.kernel(kernel_id)  # 500 is also the answer for an unknown kernel
            raise self._start_failed("The kernel could not be restarted", response)

    async def update_env(self, kernel_id: str, env: dict[str, str]) -> None:
        """Change variables for a kernel's next restart; an embedded gateway can do that."""
        await self._on_kernel("PATCH", kernel_id, body={"env": env})

    async def shutdown(self, kernel_id: str) -> None:
        """Shut a kernel down. Raises KernelNotFound when it is gone already."""
        await self._on_kernel("DELETE", kernel_id)

    async def addon(self) -> JsonObject | None:
        """What ``notebook-remote-gateway`` says of itself, or None where there is none."""
        try:
            response = await self._send("GET", "/api/notebook-remote", accept=(404,))
            return None if response.status_code == 404 else self._object(response)
        except (GatewayAnswerError, GatewayAuthError):
            return None  # some proxy that lets only kernels through

    async def ticket(self, kernel_id: str, origin: str, session_id: str) -> JsonObject:
        """A ticket with which one page, of this origin, opens a kernel's channels once.

        For gateways with the add-on. Raises KernelNotFound, GatewayLimitReached.
        """
        body = {"origin": origin, "session_id": session_id}
        response = await self._on_kernel(
            "POST", kernel_id, "/channels/ticket", body=body, accept=(429,)
        )
        if response.status_code == 429:
            raise GatewayLimitReached(
                f"The gateway at {self._where} gives no more tickets for now: too many were asked"
                " for in a short time."
            )
        model = self._object(response)
        if not {"ticket", "param", "expires_in"} <= model.keys():
            raise self._odd(response)
        return model

    async def headers(self, url: str, changes: bool = False) -> dict[str, str]:
        """What proves us to the gateway, for a request or a handshake: with kept cookies, if any.

        ``url`` is the address as http or https, by which the cookies are known. ``changes``: for a
        request that changes something.
        """
        headers = await self.auth.headers()
        given = [headers.pop(name) for name in list(headers) if name.lower() == "cookie"]
        request = httpx.Request("GET", url)
        self._cookies.set_cookie_header(request)
        cookies = [*given, *request.headers.get_list("Cookie")]
        if changes and self._xsrf and "x-xsrftoken" not in map(str.lower, headers):
            known = re.search(r"(?:^|; ?)_xsrf=([^;]*)", "; ".join(cookies))
            headers["X-XSRFToken"] = known[1] if known else self._xsrf
            cookies += [] if known else [f"_xsrf={self._xsrf}"]
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        return headers

    def keep_cookies(self, url: str, set_cookie: list[str]) -> None:
        """Keep the cookies of a WebSocket handshake's answer."""
        headers = [("Set-Cookie", value) for value in set_cookie]
        response = httpx.Response(101, headers=headers, request=httpx.Request("GET", url))
        self._cookies.extract_cookies(response)

    # -- one request ------------------------------------------------------------------------

    async def _on_kernel(
        self,
        method: str,
        kernel_id: str,
        action: str = "",
        *,
        body: JsonObject | None = None,
        timeout: float | None = None,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        if not KERNEL_ID.fullmatch(kernel_id):
            raise KernelNotFound(f"{kernel_id!r} is not the id of a kernel.")
        path = f"{self.config.kernels_endpoint}/{kernel_id}{action}"
        response = await self._send(method, path, body=body, timeout=timeout, accept=(404, *accept))
        if response.status_code == 404:
            # A 404 of some proxy in between says nothing about the kernel.
            if not says_kernel_is_gone(self._json(response), kernel_id):
                raise self._odd(response)
            raise KernelNotFound(
                f"The gateway has no kernel {kernel_id} (any more): it was shut down, culled or"
                " has died there. Start a new one."
            )
        return response

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
        """Send one request; statuses of 400 and more raise unless they are in ``accept``."""
        await self._ready()
        if timeout is None:
            limit = self.config.request_timeout
            timeout = min(READ_TIMEOUT, limit) if method == "GET" else limit
        retries = max(0, min(self.config.max_request_retries, MAX_RETRIES))
        attempts = 1 + (retries if method in ("GET", "DELETE") else 0)
        for attempt in range(attempts):
            if attempt:
                await asyncio.sleep(RETRY_PAUSE * 2 ** (attempt - 1))
            last = attempt == attempts - 1
            url = self.address.url + path
            headers = await self.headers(url, changes=method != "GET")
            try:
                response = await self._contact(
                    method,
                    url,
                    timeout,
                    json={} if body is None and method == "POST" else body,
                    params=params,
                    headers=headers,
                )
            except WrongScheme as error:
                raise self._no_answer(error) from None
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, UnicodeError) as error:
                # After a timeout, waiting again would only double the wait.
                if last or isinstance(error, httpx.TimeoutException):
                    raise await self._no_contact(url, error) from None
                continue
            if response.status_code in RETRIED_STATUS and not last:
                continue
            break
        if response.status_code == 403 and not self._xsrf and "_xsrf" in response.text:
            # A Jupyter Server that asks for no token takes what changes something only with such a
            # cookie and a header that is equal; any value will do. This one did nothing yet.
            self._xsrf = secrets.token_hex(16)
            return await self._send(
                method, path, body=body, params=params, timeout=timeout, accept=accept
            )
        if response.status_code >= 300 and response.status_code not in accept:
            raise self._refusal(response)
        return response

    async def _contact(
        self, method: str, url: str, timeout: float, **kwargs: Any
    ) -> httpx.Response:
        """Send a request. Until there was an answer, the URL's scheme is in doubt.

        Raises WrongScheme, httpx.HTTPError.
        """

        async def attempt(connect: float) -> httpx.Response:
            limits = httpx.Timeout(timeout, connect=connect)
            return await self._request(method, url, timeout=limits, **kwargs)

        config = self.config
        if self._answered:
            return await attempt(config.connect_timeout)
        response = await connecting(url, config.proxy, config.connect_timeout, attempt)
        if response.status_code == 400:  # as nginx answers HTTP where it speaks TLS
            await check_scheme(url, config.proxy)
        self._answered = True
        return response

    async def _no_contact(self, url: str, error: Exception) -> GatewayUnreachable:
        if not self._answered:
            try:
                await check_scheme(url, self.config.proxy)
            except WrongScheme as wrong:
                return self._no_answer(wrong)
        return self._no_answer(error)

    async def _request(self, method: str, url: str, **kwargs: Any) -> httpx.Response:
        if self._closed:
            raise self._no_longer()
        http = self._http
        self._requests[http] += 1
        timeout: httpx.Timeout = kwargs["timeout"]
        total = (timeout.read or 0) + (timeout.connect or 0)
        try:
            # The timeouts of httpx are for each step: an answer that drips would have no end.
            return await asyncio.wait_for(self._receive(http, method, url, **kwargs), total)
        except asyncio.TimeoutError:
            raise httpx.ReadTimeout("the answer took too long") from None
        except Exception:
            if self._closed:  # whatever becomes of a request whose connection is closed
                raise self._no_longer() from None
            raise
        finally:
            self._requests[http] -= 1
            if not self._requests[http]:
                del self._requests[http]
                if http is not self._http:
                    await http.aclose()

    async def _receive(
        self, http: httpx.AsyncClient, method: str, url: str, **kwargs: Any
    ) -> httpx.Response:
        """Send a request and read its answer, as far as it may be long. Raises httpx's errors."""
        content = bytearray()
        async with http.stream(method, url, **kwargs) as response:
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER:
                    raise GatewayAnswerError(
                        f"{self._where} answers {urlsplit(url).path} with more than"
                        f" {MAX_ANSWER // 2**20} MiB, as no Jupyter gateway does: check host, port"
                        f" and path prefix in {self.config.address_option}."
                    )
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in OF_THE_TRANSFER
        ]
        return httpx.Response(
            response.status_code, headers=headers, content=bytes(content), request=response.request
        )

    # -- what an answer means ---------------------------------------------------------------

    def _no_longer(self) -> GatewayUnreachable:
        return GatewayUnreachable(
            f"The gateway at {self._where} is not used any more: it was removed or moved to another"
            " address, or this server is being stopped."
        )

    def _no_answer(self, error: Exception) -> GatewayUnreachable:
        cause: Exception = error
        if isinstance(error, httpx.TimeoutException):
            cause = TimeoutError()
        elif isinstance(error, httpx.ProxyError):
            cause = TunnelRefused(str(error))
        told = unreachable(self.address.url, cause, self.config.proxy, self.config.address_option)
        told.request_sent = not isinstance(
            error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, WrongScheme)
        )
        return told

    @property
    def _where(self) -> str:
        return without_secrets(self.address.url)

    def refused_token(self, status: int) -> GatewayAuthError:
        """The error for an answer that does not accept our credentials."""
        does = (
            "refused our token"
            if self.auth.credentials.auth_token
            else "wants a token and got none"
        )
        return GatewayAuthError(
            f"The gateway at {self._where} {does} (HTTP {status}):"
            f" {self.config.how_to_give_a_token}."
        )

    def _refusal(self, response: httpx.Response) -> GatewayError:
        status = response.status_code
        if status in (401, 403):
            return self.refused_token(status)
        if status == 407:
            refused = TunnelRefused(f"HTTP {status}")
            return unreachable(
                self.address.url, refused, self.config.proxy, self.config.address_option
            )
        if status < 400:
            target = response.headers.get("Location", "")
            if "login" in target:
                return self.refused_token(status)
            return GatewayAnswerError(
                f"The gateway's URL {self._where} redirects to"
                f" {without_secrets(urlsplit(target)._replace(query='').geturl())}: use the URL of"
                f" the gateway itself in {self.config.address_option}."
            )
        if status in RETRIED_STATUS:
            return GatewayUnreachable(
                f"The gateway at {self._where} is not available (HTTP {status}):"
                " it may be starting, or a proxy in front of it finds it down."
            )
        return self._odd(response)

    def _odd(self, response: httpx.Response) -> GatewayAnswerError:
        words = self._words(response)
        return GatewayAnswerError(
            f"{self._where} does not answer {urlsplit(str(response.request.url)).path} as a"
            f" Jupyter gateway does (HTTP {response.status_code}{': ' + words if words else ''}):"
            f" check host, port and path prefix in {self.config.address_option}."
        )

    def _start_refused(self, response: httpx.Response) -> GatewayError:
        if not isinstance(self._json(response), dict):
            return self._odd(response)  # a page: of something in between, or at a wrong address
        words = self._words(response)
        if re.search(r"limit|max kernels", words, re.IGNORECASE):
            return GatewayLimitReached(
                f"The gateway at {self._where} starts no more kernels ({words}): shut down one"
                " that you no longer need, or ask its administrator for more."
            )
        if not words or words == "Forbidden" or "_xsrf" in words:
            return self.refused_token(403)
        return GatewayRefused(f"The gateway at {self._where} refuses to start it: {words}")

    def _start_failed(self, what: str, response: httpx.Response) -> KernelStartFailed:
        words = self._words(response) or "without saying why"
        return KernelStartFailed(
            f"{what} by the gateway at {self._where}: {words} (HTTP {response.status_code})."
            " The gateway's log has the details."
        )

    def _no_kernelspec(self, name: str, listed: JsonObject | None = None) -> KernelSpecNotFound:
        known = f" It has: {', '.join(sorted(listed)[:20])}." if listed else ""
        return KernelSpecNotFound(
            name,
            f"The gateway at {self._where} has no kernelspec {name!r}.{known} Pick another kernel,"
            " or install this one on the gateway.",
        )

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except (ValueError, RecursionError):  # no JSON, or nested so deeply that nobody reads it
            return None

    def _object(self, response: httpx.Response) -> JsonObject:
        model = self._json(response)
        if not isinstance(model, dict):
            raise self._odd(response)
        return model

    def _kernel(self, response: httpx.Response, kernel_id: str | None = None) -> JsonObject:
        """The kernel in an answer, which is the one that was asked for."""
        model = kernel_model(self._json(response))
        if model is None or kernel_id not in (None, model["id"]):
            raise self._odd(response)
        return model

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self._warned and len(self._warned) < MOST_WARNINGS:
            self._warned.add(sentence)
            self.config.log.warning("%s", sentence)

    def _words(self, response: httpx.Response) -> str:
        """The gateway's own explanation: one line, without markup, traceback or secrets."""
        model = self._json(response)
        if isinstance(model, dict):
            found = [model.get(key) for key in ("message", "reason", "detail")]
            text = max((t for t in found if isinstance(t, str)), key=len, default="")
        elif "json" in response.headers.get("Content-Type", ""):
            text = json.dumps(model)
        else:
            title = re.search(r"<title>(.*?)</title>", response.text, re.DOTALL | re.IGNORECASE)
            text = title.group(1) if title else ""
        return without_secrets(" ".join(text.split()))[:500].rstrip(".")
