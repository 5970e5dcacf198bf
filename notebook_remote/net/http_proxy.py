"""TCP connections, through an HTTP proxy if there is one: RFC 9110, section 9.3.6, CONNECT."""

from __future__ import annotations

import base64
from urllib.parse import unquote, urlsplit

from tornado.httputil import HTTPInputError, parse_response_start_line
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient


class TunnelRefused(OSError):
    """A proxy does not let us through; the text is what it answered."""


MAX_ANSWER = 64 * 1024  # bytes


async def connect(host: str, port: int, proxy: str = "") -> IOStream:
    """Open a connection to a gateway; ``proxy`` is the URL of the one on the way, or empty.

    Called for each WebSocket. Raises OSError, StreamClosedError, UnsatisfiableReadError.
    """
    if not proxy:
        return await TCPClient().connect(host, port)
    way = urlsplit(proxy)
    stream = await TCPClient().connect(str(way.hostname), way.port or 80)
    try:
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
        if way.username:
            pair = f"{unquote(way.username)}:{unquote(way.password or '')}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}")
        await stream.write("\r\n".join([*lines, "", ""]).encode())
        answer = await stream.read_until(b"\r\n\r\n", max_bytes=MAX_ANSWER)
        _check(answer.partition(b"\r\n")[0].decode("latin1"))
    except BaseException:
        stream.close()
        raise
    return stream


def _check(line: str) -> None:
    """Raise TunnelRefused if an answer's first line says no."""
    try:
        code = parse_response_start_line(line).code
    except HTTPInputError:
        raise TunnelRefused("it does not answer as a proxy does") from None
    if not 200 <= code < 300:
        raise TunnelRefused(line.partition(" ")[2])
