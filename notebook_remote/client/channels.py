"""Opens the WebSocket of a kernel's channels at a gateway."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import anyio
from tornado.httputil import HTTPHeaders, HTTPInputError, parse_response_start_line
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from ..exceptions import GatewayAnswerError, GatewayError, GatewayUnreachable, KernelNotFound
from ..net.http_proxy import connect
from ..net.tls_stream import start_tls
from .connection import GatewayConnection
from .errors import unreachable
from .scheme_check import connect_checking_scheme

BUSY_TIMEOUT = 2.0  # seconds for a request for a kernel's state, while its page waits
MAX_RESPONSE_SIZE = 64 * 1024  # bytes of the response header of a handshake
RFC6455_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# Headers of the page's handshake that the gateway gets: none that authenticate the page to this
# server (cookies, Authorization, Origin), and no extensions. The only one, compression, would hide
# messages from the message filter; stock gateways do not enable it.
FORWARDED = ("Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol")
RETURNED = ("Sec-WebSocket-Accept", "Sec-WebSocket-Protocol")


@dataclass
class OpenChannels:
    """A kernel's open WebSocket at a gateway: the stream, and the headers of the response."""

    stream: IOStream
    headers: HTTPHeaders

    def close(self) -> None:
        """Close the connection."""
        self.stream.close()


async def open_channels(
    gateway: GatewayConnection, kernel_id: str, session_id: str, page: HTTPHeaders
) -> OpenChannels:
    """Send the WebSocket handshake of a page to a gateway. Raises GatewayError.

    ``page`` are the headers of the page's request.
    """
    await gateway.ready()
    config, address = gateway.config, gateway.address
    query = "?" + urlencode({"session_id": session_id}) if session_id else ""
    url = f"{address.websocket_url}{config.kernels_endpoint}/{kernel_id}/channels{query}"
    request = await _request(gateway, url, page)

    async def attempt(limit: float) -> IOStream:
        with anyio.fail_after(limit):
            return await _connect(gateway, url)

    try:
        if config.ws_url:  # no REST request has checked its scheme
            stream = await connect_checking_scheme(
                url, config.proxy, config.connect_timeout, attempt
            )
        else:
            stream = await attempt(config.connect_timeout)
        # A gateway answers once the kernel has started.
        with anyio.fail_after(config.start_timeout):
            status, channels = await _exchange(stream, request)
    except (OSError, StreamClosedError) as error:
        option = "Gateway.ws_url" if config.ws_url else config.address_option
        raise unreachable(address.websocket_url, error, config.proxy, option) from None
    except (HTTPInputError, UnsatisfiableReadError) as error:
        raise _no_websocket(gateway, "not with HTTP") from error
    try:
        _check_response(gateway, kernel_id, status, channels, page["Sec-WebSocket-Key"])
    except KernelNotFound:
        channels.close()
        await gateway.client.kernel(kernel_id)  # raises it again, unless a proxy sent the 404
        raise GatewayUnreachable(
            f"The gateway at {address.websocket_url} has kernel {kernel_id} and opens no channels"
            " of it (HTTP 404): if there is a proxy in front of it, it must pass WebSockets on."
        ) from None
    except GatewayError:
        channels.close()
        raise
    if config.accept_cookies:
        gateway.client.keep_cookies(_as_http(url), channels.headers.get_list("Set-Cookie"))
    return channels


async def _exchange(stream: IOStream, request: bytes) -> tuple[int, OpenChannels]:
    """Send the request, and read the header of the response."""
    try:
        await stream.write(request)
        response = await stream.read_until(b"\r\n\r\n", max_bytes=MAX_RESPONSE_SIZE)
        status_line, _, rest = response.decode("latin1").partition("\r\n")
        return parse_response_start_line(status_line).code, OpenChannels(
            stream, HTTPHeaders.parse(rest)
        )
    except BaseException:
        stream.close()
        raise


async def _connect(gateway: GatewayConnection, url: str) -> IOStream:
    parts = urlsplit(url)
    host, secure = str(parts.hostname), parts.scheme == "wss"
    stream = await connect(host, parts.port or (443 if secure else 80), gateway.config.proxy)
    return await start_tls(stream, gateway.tls, host) if secure else stream


async def _request(gateway: GatewayConnection, url: str, page: HTTPHeaders) -> bytes:
    """The request of the handshake."""
    parts = urlsplit(url)
    headers = await gateway.client.headers(_as_http(url))
    headers |= {"Host": parts.netloc, "Upgrade": "websocket", "Connection": "Upgrade"}
    headers |= {name: page[name] for name in FORWARDED if name in page}
    target = parts._replace(scheme="", netloc="").geturl()
    lines = [f"GET {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8")


def _check_response(
    gateway: GatewayConnection, kernel_id: str, status: int, channels: OpenChannels, key: str
) -> None:
    """Raise GatewayError unless the gateway accepted the handshake."""
    if status == 101:
        digest = hashlib.sha1(key.encode() + RFC6455_GUID, usedforsecurity=False).digest()
        if channels.headers.get("Sec-WebSocket-Accept") == base64.b64encode(digest).decode():
            return
    where = gateway.address.websocket_url
    if status == 404:
        raise KernelNotFound(f"The gateway at {where} has no kernel {kernel_id} (any more).")
    if status in (401, 403) or 300 <= status < 400:
        raise gateway.client.errors.refused_token(status)
    if status in (502, 503, 504):
        raise GatewayUnreachable(f"The gateway at {where} is not available (HTTP {status}).")
    raise _no_websocket(gateway, f"HTTP {status}")


def _no_websocket(gateway: GatewayConnection, how: str) -> GatewayAnswerError:
    return GatewayAnswerError(
        f"{gateway.address.websocket_url} does not open WebSockets ({how}): if there is a proxy in"
        f" front of the gateway, it must pass them on; else check {gateway.config.address_option}."
    )


def _as_http(url: str) -> str:
    """The URL with http in place of ws, for the cookie jar."""
    return "http" + url.removeprefix("ws")
