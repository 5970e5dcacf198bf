"""Whether an address has the right scheme: http where TLS is spoken, or https where it is not.

The one ends in an error that says nothing, the other in a wait: a server without TLS waits for the
end of what it takes for the first line of a request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit, urlunsplit

import httpx
from tornado.httputil import HTTPInputError, parse_response_start_line
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from ..net.http_proxy import connect
from ..net.tls import start_tls
from .errors import WrongScheme

T = TypeVar("T")
SOON = 1.0  # seconds after which a connection is slow enough to wonder
PROBE_TIMEOUT = 1.5  # seconds; together a wrong scheme is noticed within 3
MAX_LINE = 1000  # bytes of an answer's first line
OTHER = {"http": "https", "https": "http", "ws": "wss", "wss": "ws"}


async def connecting(
    url: str, proxy: str, limit: float, attempt: Callable[[float], Awaitable[T]]
) -> T:
    """Connect to ``url`` for the first time; ``attempt`` gets the seconds that it may take.

    If TLS takes more than a moment the scheme is looked at. Raises as ``attempt``, or WrongScheme.
    """
    if limit > SOON and urlsplit(url).scheme in ("https", "wss"):
        try:
            return await attempt(SOON)
        except (asyncio.TimeoutError, httpx.ConnectTimeout):
            await check_scheme(url, proxy)
    return await attempt(limit)


async def check_scheme(url: str, proxy: str) -> None:
    """Raise WrongScheme if what listens at ``url`` speaks TLS and that does not, or reversely."""
    parts = urlsplit(url)
    probe = _answers_plainly if parts.scheme in ("https", "wss") else _speaks_tls
    try:
        is_wrong = await asyncio.wait_for(probe(parts, proxy), PROBE_TIMEOUT)
    except (OSError, StreamClosedError, UnsatisfiableReadError, asyncio.TimeoutError):
        return
    if is_wrong:
        right = parts._replace(scheme=OTHER[parts.scheme], path="", query="", fragment="")
        raise WrongScheme(urlunsplit(right))


async def _connect(parts: SplitResult, proxy: str) -> IOStream:
    default = 443 if parts.scheme in ("https", "wss") else 80
    return await connect(str(parts.hostname), parts.port or default, proxy)


async def _answers_plainly(parts: SplitResult, proxy: str) -> bool:
    stream = await _connect(parts, proxy)
    try:
        host = parts.netloc.rpartition("@")[2]
        await stream.write(
            f"GET /api HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
        )
        line = await stream.read_until(b"\r\n", max_bytes=MAX_LINE)
        # 400 is what TLS servers answer, those that answer at all.
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
