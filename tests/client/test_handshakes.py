"""Handshakes are brought to their end, one after another for a page, whoever goes meanwhile."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
import websocket

from notebook_remote.client.handshakes import Handshakes

from ..support.servers import Farm, wait_for
from ..support.shared_servers import SharedServers


class Opened:
    """What a handshake opens."""

    closed = False

    def close(self) -> None:
        self.closed = True


class Slow:
    """A handshake that ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.answered = asyncio.Event(), asyncio.Event()
        self.opened = Opened()

    async def __call__(self) -> Opened:
        self.begun.set()
        await self.answered.wait()
        return self.opened


def test_what_is_opened_for_a_page_that_has_gone_is_closed() -> None:
    async def test() -> None:
        handshakes, slow = Handshakes(), Slow()
        page = asyncio.create_task(handshakes.run(("kernel", "page"), slow))
        await slow.begun.wait()
        page.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await page
        assert not slow.opened.closed
        slow.answered.set()
        again = Slow()
        again.answered.set()
        assert await handshakes.run(("kernel", "page"), again) is again.opened
        assert slow.opened.closed
        assert not again.opened.closed

    asyncio.run(test())


def test_a_page_has_one_at_a_time_and_others_do_not_wait_for_it() -> None:
    async def test() -> None:
        handshakes, first, second, other = Handshakes(), Slow(), Slow(), Slow()
        one = asyncio.create_task(handshakes.run(("kernel", "page"), first))
        two = asyncio.create_task(handshakes.run(("kernel", "page"), second))
        other.answered.set()
        assert await handshakes.run(("kernel", "other page"), other) is other.opened
        assert first.begun.is_set()
        assert not second.begun.is_set()
        first.answered.set()
        second.answered.set()
        assert [await one, await two] == [first.opened, second.opened]

    asyncio.run(test())


def test_one_that_fails_tells_the_page_and_does_not_stand_in_the_way() -> None:
    async def fail() -> Opened:
        raise OSError("refused")

    async def test() -> None:
        handshakes, good = Handshakes(), Slow()
        with pytest.raises(OSError, match="refused"):
            await handshakes.run(("kernel", "page"), fail)
        good.answered.set()
        assert await handshakes.run(("kernel", "page"), good) is good.opened

    asyncio.run(test())


def test_a_page_that_leaves_in_the_handshake_is_not_miscounted(
    farm: Farm, shared: SharedServers
) -> None:
    """A stock gateway counts one connection too few after it, and keeps no output any more."""
    gateway = shared.gateway("kernel-gateway")
    notebook = farm.notebook(gateway=gateway).start()
    with notebook.kernel() as kernel_id:
        path = f"/api/kernels/{kernel_id}/channels?session_id=left"
        with pytest.raises(websocket.WebSocketTimeoutException):
            websocket.create_connection(  # which the gateway answers when the kernel is up
                "ws" + notebook.url.removeprefix("http") + path,
                header=[f"Authorization: token {notebook.token}"],
                timeout=0.1,
            )
        with notebook.channels(kernel_id) as channels:
            assert channels.run("1") == "1"
            path = f"/api/kernels/{kernel_id}"
            wait_for("one", lambda: gateway.get(path).json()["connections"] == 1, patience=10)
