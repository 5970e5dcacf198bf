"""TCP connections to a gateway, through an HTTP proxy if there is one (CONNECT of RFC 9110)."""

from __future__ import annotations

import base64
from urllib.parse import unquote, urlsplit

from tornado.httputil import HTTPInputError, parse_response_start_line
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient

MAX_RESPONSE_SIZE = 64 * 1024  # bytes of a proxy's response header


class TunnelRefused(OSError):
    """A proxy refused the connection; the text is its status line."""


async def connect(host: str, port: int, proxy: str = "") -> IOStream:
    """Open a connection to a gateway; ``proxy`` is the URL of an HTTP proxy, or empty.

    Called for each WebSocket. Raises OSError, StreamClosedError, UnsatisfiableReadError.
    """
    if not proxy:
        return await TCPClient().connect(host, port)
    parts = urlsplit(proxy)
    stream = await TCPClient().connect(str(parts.hostname), parts.port or 80)
    try:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}")
        await stream.write("\r\n".join([*lines, "", ""]).encode())
        response = await stream.read_until(b"\r\n\r\n", max_bytes=MAX_RESPONSE_SIZE)
        _check_status(response.partition(b"\r\n")[0].decode("latin1"))
    except BaseException:
        stream.close()
        raise
    return stream


def _check_status(line: str) -> None:
    """Raise TunnelRefused unless a status line says that the tunnel is open."""
    try:
        code = parse_response_start_line(line).code
    except HTTPInputError:
        raise TunnelRefused("it does not answer as a proxy does") from None
    if not 200 <= code < 300:
        raise TunnelRefused(line.partition(" ")[2])
