"""Answers that many want and that one request gets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """What ``ask`` answers, asked by one task at a time, however many wait for it."""

    def __init__(self, name: str, ask: Callable[[], Awaitable[T]]) -> None:
        self._name = name
        self._ask = ask
        self._asking: asyncio.Task[T] | None = None
        self._answered = float("-inf")
        self._answer: T

    async def recent(self, age: float) -> T:
        """The last answer if it is no older than ``age`` seconds, else a new one."""
        if asyncio.get_running_loop().time() - self._answered < age:
            return self._answer
        return await self.fresh()

    async def fresh(self) -> T:
        """A new answer. Who stops waiting for it does not stop the asking. Raises as ``ask``."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._run(), name=self._name)
            self._asking.add_done_callback(self._done)
        return await asyncio.shield(self._asking)

    def forget(self) -> None:
        """Take no answer of before for recent."""
        self._answered = float("-inf")

    async def _run(self) -> T:
        return await self._ask()

    def _done(self, task: asyncio.Task[T]) -> None:
        self._asking = None
        if not task.cancelled() and task.exception() is None:
            self._answer = task.result()
            self._answered = asyncio.get_running_loop().time()
