"""The relay between two real streams: exact bytes, bounded memory, both ends closed together."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
from tornado.iostream import IOStream, StreamClosedError

from notebook_remote.relay import CHUNK, Relay, tune


async def connected() -> tuple[IOStream, IOStream]:
    """Two ends of one TCP connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    return IOStream(near), IOStream(far)


def relaying(test: Callable[[Relay, IOStream, IOStream], Awaitable[None]]) -> None:
    """Run a test that gets the relay and the outer ends: page and gateway."""

    async def run() -> None:
        page, browser = await connected()
        kernel, gateway = await connected()
        relay = Relay(browser, gateway)
        running = asyncio.create_task(relay.run())
        try:
            await asyncio.wait_for(test(relay, page, kernel), 60)
        finally:
            relay.close()
            await asyncio.wait_for(running, 10)
            page.close()
            kernel.close()

    asyncio.run(run())


def test_every_byte_passes_as_it_is() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        for size in (1, 255, CHUNK - 1, CHUNK, CHUNK + 1, 5_000_000):
            data = os.urandom(size)
            for source, sink in ((page, kernel), (kernel, page)):
                writing = asyncio.ensure_future(source.write(data))
                received = await sink.read_bytes(size)
                await writing
                assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()
        assert relay.from_browser == relay.from_gateway > 5_000_000

    relaying(test)


@pytest.mark.parametrize("end", ["page", "kernel"])
def test_when_one_end_closes_so_does_the_other(end: str) -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        first, second = (page, kernel) if end == "page" else (kernel, page)
        first.close()
        with pytest.raises(StreamClosedError):
            await second.read_bytes(1)
        assert relay.ended_by == ("browser" if end == "page" else "gateway")

    relaying(test)


def test_what_came_before_the_end_arrives() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        await kernel.write(b"x" * 1000)
        assert await page.read_bytes(1000) == b"x" * 1000
        kernel.close()
        with pytest.raises(StreamClosedError):
            await page.read_bytes(1)

    relaying(test)


def test_a_slow_reader_slows_the_sender_down() -> None:
    """With a reader that does not read, the sender gets rid of a few socket buffers, no more."""
    amount = 300_000_000

    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        sent = 0
        block = b"x" * 1_000_000
        while sent < amount:
            try:
                await asyncio.wait_for(asyncio.shield(kernel.write(block)), 1)
            except asyncio.TimeoutError:
                break
            sent += len(block)
        assert sent < 60_000_000
        assert relay.browser._write_buffer is not None
        assert len(relay.browser._write_buffer) <= 2 * CHUNK
        received = 0
        while received < sent:
            received += len(await page.read_bytes(CHUNK, partial=True))

    relaying(test)


def test_sockets_are_tuned() -> None:
    async def test() -> None:
        near, far = await connected()
        tune(near.socket, give_up_unread=True)
        tune(far.socket)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # a page that reads nothing for a while lives
            assert near.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000
            assert far.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
        assert near.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert near.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        near.close()
        far.close()
        left, right = socket.socketpair()
        tune(left)  # a UNIX socket has nothing to tune, and does not fail
        left.close()
        right.close()
        tune(None)

    asyncio.run(test())
