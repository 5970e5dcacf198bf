"""A queue of messages, which can be closed with a reason."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from queue import Empty

from ..types import JsonObject


class MessageQueue:
    """What has come from a kernel and was not fetched yet, by channel.

    It has no limit: all channels share one WebSocket, so that one nobody reads from would stop the
    others.
    """

    def __init__(self) -> None:
        self._letters: defaultdict[str, deque[JsonObject | Exception]] = defaultdict(deque)
        self._failure: Exception | None = None
        self._waiting: set[asyncio.Future[None]] = set()

    def put(self, channel: str, letter: JsonObject | Exception) -> None:
        """Add a message, or an error for whoever fetches from the channel next."""
        self._letters[channel].append(letter)
        self._wake()

    def fail(self, error: Exception) -> None:
        """Nothing will come any more, and this is why."""
        self._failure = self._failure or error
        self._wake()

    def has(self, channel: str) -> bool:
        """Whether there is something to fetch."""
        return bool(self._letters[channel])

    async def get(self, *channels: str, timeout: float | None = None) -> tuple[str, JsonObject]:
        """The next message of these channels, with its channel; ``timeout`` in seconds.

        Raises Empty after that time, and what was put in or failed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            for channel in channels:
                if self._letters[channel]:
                    letter = self._letters[channel].popleft()
                    if isinstance(letter, Exception):
                        raise letter
                    return channel, letter
            if self._failure is not None:
                raise self._failure
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise Empty
            await self._change(left)

    async def _change(self, timeout: float | None) -> None:
        change = asyncio.get_running_loop().create_future()
        self._waiting.add(change)
        try:
            await asyncio.wait({change}, timeout=timeout)
        finally:
            self._waiting.discard(change)

    def _wake(self) -> None:
        for change in self._waiting:
            if not change.done():
                change.set_result(None)
