"""A queue of a kernel's messages, by channel, which can be closed with an error."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from queue import Empty

from ..types import JsonObject


class MessageQueue:
    """A kernel's messages that were not fetched yet, by channel.

    It has no limit: all channels share one WebSocket, so a full channel would block the others.
    """

    def __init__(self) -> None:
        self._items: defaultdict[str, deque[JsonObject | Exception]] = defaultdict(deque)
        self._failure: Exception | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    def put(self, channel: str, item: JsonObject | Exception) -> None:
        """Add a message, or an error that the next ``get`` of this channel raises."""
        self._items[channel].append(item)
        self._wake()

    def fail(self, error: Exception) -> None:
        """Close the queue: ``get`` raises this error once all messages were fetched."""
        self._failure = self._failure or error
        self._wake()

    def has(self, channel: str) -> bool:
        """Whether a message or error can be fetched."""
        return bool(self._items[channel])

    async def get(self, *channels: str, timeout: float | None = None) -> tuple[str, JsonObject]:
        """The next message of these channels, with its channel; ``timeout`` in seconds.

        Raises Empty after that time, an error that was put in, and the error of ``fail``.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            for channel in channels:
                if self._items[channel]:
                    item = self._items[channel].popleft()
                    if isinstance(item, Exception):
                        raise item
                    return channel, item
            if self._failure is not None:
                raise self._failure
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise Empty
            await self._wait_for_change(left)

    async def _wait_for_change(self, timeout: float | None) -> None:
        change = asyncio.get_running_loop().create_future()
        self._waiters.add(change)
        try:
            await asyncio.wait({change}, timeout=timeout)
        finally:
            self._waiters.discard(change)

    def _wake(self) -> None:
        for change in self._waiters:
            if not change.done():
                change.set_result(None)
