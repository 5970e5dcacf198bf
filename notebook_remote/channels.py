"""The channels route: authorize, dial the gateway, pass its answer on, hand over to the relay.

``GET /api/kernels/<id>/channels`` of jupyter_server, for kernels on a gateway. The page's own
handshake is forwarded, so the subprotocol and everything else about the WebSocket is agreed
between the page and the gateway; and the page is answered only when the gateway has answered, so
"connected" in the page means connected to the kernel.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    parse_response_start_line,
)
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError
from tornado.routing import PathMatches

from .backends import Backends
from .exceptions import (
    GatewayAnswerError,
    GatewayError,
    GatewayUnreachable,
    KernelNotFound,
    unreachable,
)
from .gateways import GatewayBackend
from .kernel import RemoteKernelManager
from .links import Link
from .messages import MessageGuard
from .records import start_tls
from .relay import Relay
from .schemes import connecting
from .tunnel import connect

BUSY_TIMEOUT = 2.0  # seconds to ask for a kernel's state, while its page waits for an error
MAX_ANSWER = 64 * 1024  # bytes of a handshake's answer
RFC6455_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# What of the page's handshake the gateway gets: what makes the WebSocket, and nothing that
# proves the page to this server (cookies, Authorization, Origin). No extensions: the only one there
# is, compression, would hide from the guard what it must see; stock gateways have it off.
FORWARDED = ("Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol")
RETURNED = ("Sec-WebSocket-Accept", "Sec-WebSocket-Protocol")


@dataclass
class Answered:
    """A gateway that has accepted a handshake: the open stream and the headers it answered."""

    stream: IOStream
    headers: HTTPHeaders

    def close(self) -> None:
        """Hang up."""
        self.stream.close()


class ChannelsHandler(WebSocketMixin, JupyterHandler):
    """Opens a kernel's channels for a page. Same checks as jupyter_server's handler."""

    auth_resource = "kernels"
    SUPPORTED_METHODS = ("GET",)

    def set_default_headers(self) -> None:
        """None: the stock ones make no sense for a WebSocket."""

    def get_origin(self) -> str | None:
        """The page's origin, for ``check_origin`` of WebSocketMixin."""
        headers = self.request.headers
        origin: str | None = headers.get("Origin") or headers.get("Sec-Websocket-Origin")
        return origin

    @ws_authenticated
    async def get(self, kernel_id: str) -> None:
        """Handle the page's handshake, then relay until one side ends."""
        self._check_handshake()
        user = self.current_user
        if not await ensure_async(
            self.authorizer.is_authorized(self, user, "execute", self.auth_resource)
        ):
            raise web.HTTPError(403)
        await self.kernel_manager.backends.ready()
        kernel: RemoteKernelManager = self.kernel_manager.get_kernel(kernel_id)
        links = kernel.backend.links
        link = links.opening(kernel_id, self.get_argument("session_id", ""))
        self._dialling = asyncio.ensure_future(self._dial(kernel.backend, link))
        try:
            answered = await self._dialling
        except asyncio.CancelledError:
            links.left(link)
            return  # the page has gone meanwhile
        except GatewayError as error:
            links.failed(link, error)
            raise
        if kernel_id not in self.kernel_manager:
            answered.close()  # it was shut down meanwhile
            links.left(link)
            raise KernelNotFound(f"The kernel {kernel_id} was shut down.")
        await self._relay(kernel.backend, link, answered)

    def on_connection_close(self) -> None:
        """Stop dialling for a page that has gone; called by tornado."""
        dialling = getattr(self, "_dialling", None)
        if dialling is not None:
            dialling.cancel()

    def _check_handshake(self) -> None:
        headers = self.request.headers
        upgrade = headers.get("Upgrade", "").lower()
        connection = {part.strip().lower() for part in headers.get("Connection", "").split(",")}
        key = headers.get("Sec-WebSocket-Key", "")
        if upgrade != "websocket" or "upgrade" not in connection or not key:
            raise web.HTTPError(400, "This address is for WebSockets only.")
        if headers.get("Sec-WebSocket-Version") not in ("7", "8", "13"):
            self.set_header("Sec-WebSocket-Version", "13")
            raise web.HTTPError(426, "This WebSocket version is not supported.")
        if not self.check_origin(self.get_origin()):
            raise web.HTTPError(403, "Cross origin websockets not allowed")

    async def _dial(self, backend: GatewayBackend, link: Link) -> Answered:
        """Open the gateway's side, with new attempts while it does not answer at all.

        Attempts end with ``Gateway.connect_timeout``: a browser opens one WebSocket at a time to
        a host, so a page that waits here keeps the others waiting.
        """
        config = backend.config
        deadline = time.monotonic() + config.connect_timeout
        pause = config.gateway_retry_interval
        attempts = config.gateway_retry_max + 1
        for attempt in itertools.count(1):
            backend.links.attempting(link, attempt, attempts)
            try:
                return await backend.handshakes.run(
                    (link.kernel_id, link.session_id),
                    lambda: open_channels(
                        backend, link.kernel_id, link.session_id, self.request.headers
                    ),
                )
            except GatewayUnreachable:
                if attempt == attempts or time.monotonic() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, config.gateway_retry_interval_max)
        raise AssertionError("the loop above ends by itself")

    async def _relay(self, backend: GatewayBackend, link: Link, answered: Answered) -> None:
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"{n}: {answered.headers[n]}" for n in RETURNED if n in answered.headers]
        links, config = backend.links, backend.config
        guard = MessageGuard(
            answered.headers.get("Sec-WebSocket-Protocol"),
            config.max_message_size,
            refused=lambda sentence: links.refused(link, sentence),
            latest_from_kernel=lambda: relay.latest_from_gateway,
            is_busy=lambda: _is_busy(backend, link.kernel_id),
        )
        relay = Relay(
            self.detach(),
            answered.stream,
            guard,
            link_timeout=config.link_timeout,
            buffer_size=config.relay_buffer_size,
            report=lambda: links.measure(link),
            gateway_answers=backend.answers,
        )
        unsent, link.unsent = link.unsent, b""
        links.connected(link, relay)
        self.log.info("Channels of kernel %s opened", link.kernel_id)
        try:
            await relay.run("\r\n".join([*lines, "", ""]).encode("latin1"), unsent)
        finally:
            ending = relay.close()
            links.ended(link, ending)
            self.log.info("Channels of kernel %s ended: %s", link.kernel_id, ending.text)
            if (ending.by, ending.kind) == ("gateway", "silent"):
                await backend.client.renew_connections()


async def _is_busy(backend: GatewayBackend, kernel_id: str) -> bool:
    """Whether a kernel is busy, as far as its gateway knows."""
    try:
        model = await asyncio.wait_for(backend.client.kernel(kernel_id), BUSY_TIMEOUT)
    except (GatewayError, asyncio.TimeoutError):
        return False
    return bool(model["execution_state"] == "busy")


class OnGateway(PathMatches):
    """A route for kernels on gateways. Those of this computer are left to jupyter_server's."""

    def __init__(self, pattern: str, backends: Backends) -> None:
        super().__init__(pattern)
        self._backends = backends

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Called by tornado for each request."""
        found: dict[str, Any] | None = super().match(request)
        kernel_id = found["path_kwargs"]["kernel_id"].decode() if found else ""
        backend = self._backends.of_kernel(kernel_id)
        return None if backend is not None and backend.gateway is None else found


async def open_channels(
    backend: GatewayBackend, kernel_id: str, session_id: str, page: HTTPHeaders
) -> Answered:
    """Forward the handshake of a page to a gateway. Raises GatewayError.

    ``page`` are the headers of the page's request.
    """
    await backend.ready()
    config = backend.config
    query = "?" + urlencode({"session_id": session_id}) if session_id else ""
    url = f"{config.websocket_url}{config.kernels_endpoint}/{kernel_id}/channels{query}"
    request = await _request(backend, url, page)

    async def attempt(limit: float) -> IOStream:
        return await asyncio.wait_for(_connect(backend, url), limit)

    try:
        if config.ws_url:  # the gateway's own address has proved its scheme by an answer
            stream = await connecting(url, config.proxy, config.connect_timeout, attempt)
        else:
            stream = await attempt(config.connect_timeout)
        # A gateway answers when the kernel is up.
        status, answered = await asyncio.wait_for(_exchange(stream, request), config.start_timeout)
    except (OSError, StreamClosedError, asyncio.TimeoutError) as error:
        option = "Gateway.ws_url" if config.ws_url else config.address_option
        raise unreachable(config.websocket_url, error, config.proxy, option) from None
    except (HTTPInputError, UnsatisfiableReadError) as error:
        raise _odd(backend, "not with HTTP") from error
    try:
        _check_answer(backend, kernel_id, status, answered, page["Sec-WebSocket-Key"])
    except KernelNotFound:
        answered.close()
        await backend.client.kernel(kernel_id)  # raises it too, if it is the gateway who says so
        raise GatewayUnreachable(
            f"The gateway at {config.websocket_url} has kernel {kernel_id} and opens no channels"
            " of it (HTTP 404): if there is a proxy in front of it, it must pass WebSockets on."
        ) from None
    except GatewayError:
        answered.close()
        raise
    if config.accept_cookies:
        backend.client.keep_cookies(_as_http(url), answered.headers.get_list("Set-Cookie"))
    return answered


async def _exchange(stream: IOStream, request: bytes) -> tuple[int, Answered]:
    """Send the request, read the answer's head."""
    try:
        await stream.write(request)
        answer = await stream.read_until(b"\r\n\r\n", max_bytes=MAX_ANSWER)
        start, _, rest = answer.decode("latin1").partition("\r\n")
        return parse_response_start_line(start).code, Answered(stream, HTTPHeaders.parse(rest))
    except BaseException:
        stream.close()
        raise


async def _connect(backend: GatewayBackend, url: str) -> IOStream:
    parts = urlsplit(url)
    host, secure = str(parts.hostname), parts.scheme == "wss"
    stream = await connect(host, parts.port or (443 if secure else 80), backend.config.proxy)
    return await start_tls(stream, backend.tls, host) if secure else stream


async def _request(backend: GatewayBackend, url: str, page: HTTPHeaders) -> bytes:
    """The head of the handshake's request."""
    parts = urlsplit(url)
    headers = await backend.client.headers(_as_http(url))
    headers |= {"Host": parts.netloc, "Upgrade": "websocket", "Connection": "Upgrade"}
    headers |= {name: page[name] for name in FORWARDED if name in page}
    target = parts._replace(scheme="", netloc="").geturl()
    lines = [f"GET {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8")


def _check_answer(
    backend: GatewayBackend, kernel_id: str, status: int, answered: Answered, key: str
) -> None:
    if status == 101:
        digest = hashlib.sha1(key.encode() + RFC6455_GUID, usedforsecurity=False).digest()
        if answered.headers.get("Sec-WebSocket-Accept") == base64.b64encode(digest).decode():
            return
    where = backend.config.websocket_url
    if status == 404:
        raise KernelNotFound(f"The gateway at {where} has no kernel {kernel_id} (any more).")
    if status in (401, 403) or 300 <= status < 400:
        raise backend.client.refused_token(status)
    if status in (502, 503, 504):
        raise GatewayUnreachable(f"The gateway at {where} is not available (HTTP {status}).")
    raise _odd(backend, f"HTTP {status}")


def _odd(backend: GatewayBackend, how: str) -> GatewayAnswerError:
    return GatewayAnswerError(
        f"{backend.config.websocket_url} does not open WebSockets ({how}): if there is a proxy in"
        f" front of the gateway, it must pass them on; else check {backend.config.address_option}."
    )


def _as_http(url: str) -> str:
    """The URL that a cookie jar knows a WebSocket URL by."""
    return "http" + url.removeprefix("ws")
