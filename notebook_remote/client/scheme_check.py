"""Detects a wrong scheme: http for a server with TLS, or https for one without.

Without this check, the former fails with an error that explains nothing, and the latter with a
timeout: a server without TLS takes the TLS handshake for an incomplete request line, and waits.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit, urlunsplit

import anyio
import httpx
from tornado.httputil import HTTPInputError, parse_response_start_line
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from ..net.http_proxy import connect
from ..net.tls_stream import start_tls
from .errors import WrongScheme

T = TypeVar("T")
SLOW_CONNECT = 1.0  # seconds after which the scheme is checked
PROBE_TIMEOUT = 1.5  # seconds; so a wrong scheme is detected within 3
MAX_LINE = 1000  # bytes of a status line
OTHER_SCHEME = {"http": "https", "https": "http", "ws": "wss", "wss": "ws"}


async def connect_checking_scheme(
    url: str, proxy: str, limit: float, attempt: Callable[[float], Awaitable[T]]
) -> T:
    """Call ``attempt``, with its timeout in seconds, to connect to ``url`` for the first time.

    If TLS takes longer than SLOW_CONNECT, the scheme is checked. Raises what ``attempt`` raises, or
    WrongScheme.
    """
    if limit > SLOW_CONNECT and urlsplit(url).scheme in ("https", "wss"):
        try:
            return await attempt(SLOW_CONNECT)
        except (TimeoutError, httpx.ConnectTimeout):
            await check_scheme(url, proxy)
    return await attempt(limit)


async def check_scheme(url: str, proxy: str) -> None:
    """Raise WrongScheme if ``url`` is http for a server with TLS, or https for one without."""
    parts = urlsplit(url)
    probe = _answers_http if parts.scheme in ("https", "wss") else _speaks_tls
    try:
        with anyio.fail_after(PROBE_TIMEOUT):
            is_wrong = await probe(parts, proxy)
    except (OSError, StreamClosedError, UnsatisfiableReadError):  # TimeoutError is an OSError
        return
    if is_wrong:
        right = parts._replace(scheme=OTHER_SCHEME[parts.scheme], path="", query="", fragment="")
        raise WrongScheme(urlunsplit(right))


async def _connect(parts: SplitResult, proxy: str) -> IOStream:
    default = 443 if parts.scheme in ("https", "wss") else 80
    return await connect(str(parts.hostname), parts.port or default, proxy)


async def _answers_http(parts: SplitResult, proxy: str) -> bool:
    stream = await _connect(parts, proxy)
    try:
        host = parts.netloc.rpartition("@")[2]
        await stream.write(
            f"GET /api HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        line = await stream.read_until(b"\r\n", max_bytes=MAX_LINE)
        # Some TLS servers answer plain HTTP, with a 400.
        return parse_response_start_line(line.decode("latin1").strip()).code != 400
    except HTTPInputError:
        return False
    finally:
        stream.close()


async def _speaks_tls(parts: SplitResult, proxy: str) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    stream = await start_tls(await _connect(parts, proxy), context, str(parts.hostname))
    stream.close()
    return True
