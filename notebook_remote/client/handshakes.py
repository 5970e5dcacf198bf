"""Handshakes with a gateway, each brought to its end even if the page that wanted it has gone.

A stock gateway whose client hangs up in the middle of a handshake counts the kernel's connections
wrongly from then on, and keeps no output for the page's next attempt. And one that gets a second
handshake of the same page while the first is under way takes the one for a leftover of the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

Key = tuple[str, str]  # the kernel's id and the page's session id, which may be empty


class Closable(Protocol):
    """What a handshake opens."""

    def close(self) -> None:
        """Hang up."""


T = TypeVar("T", bound=Closable)


class Handshakes:
    """Those that are under way with one gateway. Owned by its backend."""

    def __init__(self) -> None:
        self._under_way: dict[Key, asyncio.Task[Any]] = {}

    async def run(self, key: Key, handshake: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do a handshake after earlier ones of the same page, and return what it opens.

        If this is cancelled the handshake goes on; what it opens is closed then.
        """
        while earlier := self._under_way.get(key):
            await asyncio.wait({earlier})
        task = asyncio.create_task(handshake(), name=f"handshake for kernel {key[0]}")
        if key[1]:
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_hang_up)
            raise

    def cancel(self) -> None:
        """Give up all of them; called when the server stops."""
        for task in self._under_way.values():
            task.cancel()


def _hang_up(task: asyncio.Task[Closable]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
