"""Requests that several waiters share, delays between attempts, and calls that may never return."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar, cast

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Calls ``request`` once at a time, and gives its result to all who wait for one."""

    def __init__(self, name: str, request: Callable[[], Awaitable[T]]) -> None:
        self._name = name
        self._request = request
        self._in_flight: asyncio.Task[T] | None = None
        self._result: T
        self._result_time = float("-inf")

    async def recent(self, age: float) -> T:
        """The last result if it is no older than ``age`` seconds, else a new one."""
        if asyncio.get_running_loop().time() - self._result_time < age:
            return self._result
        return await self.fresh()

    async def fresh(self) -> T:
        """Join the request in flight, or start one. Raises what ``request`` raises.

        Cancelling a waiter does not cancel the request.
        """
        if self._in_flight is None:
            self._in_flight = asyncio.create_task(self._run(), name=self._name)
            self._in_flight.add_done_callback(self._on_done)
        return await asyncio.shield(self._in_flight)

    def forget(self) -> None:
        """Make ``recent`` send a new request, however new the last result is."""
        self._result_time = float("-inf")

    async def _run(self) -> T:
        return await self._request()

    def _on_done(self, task: asyncio.Task[T]) -> None:
        self._in_flight = None
        if not task.cancelled() and task.exception() is None:
            self._result = task.result()
            self._result_time = asyncio.get_running_loop().time()


def backoff(first: float, longest: float = float("inf")) -> Iterator[float]:
    """The seconds to wait before each new attempt: ``first``, doubled each time to ``longest``."""
    delay = first
    while True:
        yield delay
        delay = min(2 * delay, longest)


def run_in_daemon_thread(call: Callable[[], T], name: str) -> asyncio.Future[T]:
    """Run a blocking call that may never return; its thread does not keep the process alive."""
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
        except Exception as error:  # noqa: BLE001 - raised by the future
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(set_outcome, result, failure)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
