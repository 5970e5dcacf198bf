"""WebSocket handshakes with a gateway: completed even if the page disconnects, one at a time.

A stock gateway whose client disconnects during a handshake counts the kernel's connections wrongly
from then on, and buffers no output until the page connects again. If a gateway gets a second
handshake of the same page during the first one, it takes one for a stale connection, and closes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

Key = tuple[str, str]  # the kernel's id and the page's session id, which may be empty


class Closable(Protocol):
    """The result of a handshake."""

    def close(self) -> None:
        """Close the connection."""


T = TypeVar("T", bound=Closable)


class Handshakes:
    """The handshakes in flight with one gateway. Owned by its connection."""

    def __init__(self) -> None:
        self._in_flight: dict[Key, asyncio.Task[Any]] = {}

    async def run(self, key: Key, handshake: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a handshake after earlier ones of the same page, and return its result.

        If the caller is cancelled, the handshake completes, and its result is closed.
        """
        while earlier := self._in_flight.get(key):
            await asyncio.wait({earlier})
        task = asyncio.create_task(handshake(), name=f"handshake for kernel {key[0]}")
        if key[1]:
            self._in_flight[key] = task
            task.add_done_callback(lambda _: self._in_flight.pop(key))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_close_result)
            raise

    def cancel(self) -> None:
        """Cancel all handshakes; called when the server stops."""
        for task in self._in_flight.values():
            task.cancel()


def _close_result(task: asyncio.Task[Closable]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
