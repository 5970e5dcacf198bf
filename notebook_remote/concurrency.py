"""Answers that many want and that one request gets; calls that may never return."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class SingleFlight(Generic[T]):
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


def in_daemon_thread(call: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Call what may never return, in a thread that keeps no process from its end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def set_outcome(result: T | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast("T", result))

    def run() -> None:
        result, failure = None, None
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - for whoever awaits the future
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(set_outcome, result, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
