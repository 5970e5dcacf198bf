"""Moves bytes between two streams. It opens nothing and knows nothing of Jupyter.

A WebSocket connection, after its handshake, is two byte streams that the relay passes on as they
are: any frame size, text or binary, either subprotocol, exactly as sent. Every write is awaited,
so a slow reader slows the sender down and nothing piles up here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Callable, Iterator

from tornado.iostream import IOStream, StreamClosedError

CHUNK = 64 * 1024  # bytes read at most at once, and so held at most per direction
DEAD_AFTER = 15  # seconds until a peer that has silently gone is noticed


class Relay:
    """One connection between a page and a gateway. ``run`` returns when either end closes."""

    def __init__(self, browser: IOStream, gateway: IOStream) -> None:
        self.browser = browser
        self.gateway = gateway
        self.from_browser = 0  # bytes
        self.from_gateway = 0  # bytes
        self.ended_by = ""
        self.started = time.monotonic()

    async def run(self) -> None:
        """Pass bytes both ways until one end closes, then close the other."""
        tune(self.browser.socket)
        # Not for the page: a tab that is busy for a while reads nothing, and is not gone.
        tune(self.gateway.socket, give_up_unread=True)
        directions = [
            asyncio.create_task(self._from_browser(), name="relay from browser"),
            asyncio.create_task(self._from_gateway(), name="relay from gateway"),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.close()
            for task in directions:
                task.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    def close(self) -> None:
        """Close both ends; the page then connects again, or learns that its kernel is gone."""
        self.browser.close()
        self.gateway.close()

    async def _from_browser(self) -> None:
        with self._until_closed():
            while True:
                data = await self.browser.read_bytes(CHUNK, partial=True)
                self.from_browser += len(data)
                await self.gateway.write(data)

    async def _from_gateway(self) -> None:
        acknowledge = _quick_ack(self.gateway.socket)
        with self._until_closed():
            while True:
                data = await self.gateway.read_bytes(CHUNK, partial=True)
                acknowledge()
                self.from_gateway += len(data)
                await self.browser.write(data)

    @contextlib.contextmanager
    def _until_closed(self) -> Iterator[None]:
        try:
            yield
        except StreamClosedError:
            if not self.ended_by:
                gateway_gone = self.gateway.closed() and not self.browser.closed()
                self.ended_by = "gateway" if gateway_gone else "browser"


def tune(sock: socket.socket | None, give_up_unread: bool = False) -> None:
    """No waiting for small packets, and no waiting for ever on a peer that has gone.

    ``give_up_unread`` also gives up on a peer that is there but reads nothing.
    """
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):  # reset meanwhile: the first read says so
        _set_options(sock, give_up_unread)


def _set_options(sock: socket.socket, give_up_unread: bool) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probes = 3
    idle = DEAD_AFTER // 2
    options = {
        "TCP_KEEPIDLE" if sys.platform != "darwin" else "TCP_KEEPALIVE": idle,
        "TCP_KEEPINTVL": max(1, (DEAD_AFTER - idle) // probes),
        "TCP_KEEPCNT": probes,
    }
    if give_up_unread:
        options["TCP_USER_TIMEOUT"] = DEAD_AFTER * 1000
    for name, value in options.items():
        option = getattr(socket, name, None)  # which of them exist depends on the platform
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _quick_ack(sock: socket.socket | None) -> Callable[[], None]:
    """A function that acknowledges at once what was read from ``sock``, where that is possible.

    No Jupyter gateway sets TCP_NODELAY, so it holds a second small message back until the first
    is acknowledged, which the kernel of an operating system delays by 40 ms. Linux forgets the
    option after use; hence the call after each read.
    """
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is None or sock is None:
        return lambda: None

    def acknowledge() -> None:
        with contextlib.suppress(OSError):  # closed meanwhile: the next read says so
            sock.setsockopt(socket.IPPROTO_TCP, option, 1)

    return acknowledge
