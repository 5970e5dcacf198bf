"""A thread with an event loop, for programs whose own event loop does not run all the time.

nbconvert and papermill run an event loop for the time of a call and stop it in between; pings and
reconnects need a loop that goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any, TypeVar

T = TypeVar("T")
STOP_TIMEOUT = 5.0  # seconds for cancelled jobs to end


class HttpxFilter(logging.Filter):
    """Drops httpx's log record for each of our requests, in programs of other people.

    papermill, for one, writes all INFO records between its progress bars. Records of other threads
    pass, and ours too where httpx's logger has the level DEBUG.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Called by logging for each record."""
        ours = record.thread in self.threads and record.levelno < logging.WARNING
        return not ours or logging.getLogger("httpx").isEnabledFor(logging.DEBUG)


HTTPX_FILTER = HttpxFilter()


class EventLoopThread:
    """A daemon thread that runs an event loop until its owner calls ``stop``."""

    def __init__(self, name: str) -> None:
        logging.getLogger("httpx").addFilter(HTTPX_FILTER)  # adding it again has no effect
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        HTTPX_FILTER.threads.add(threading.get_ident())
        try:
            self._loop.run_forever()
        finally:
            HTTPX_FILTER.threads.discard(threading.get_ident())

    def submit(self, job: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a job in the thread; called from any thread. Raises RuntimeError once stopped."""
        if self._loop.is_closed():
            job.close()
            raise RuntimeError("This kernel's connection has been closed.")
        return asyncio.run_coroutine_threadsafe(job, self._loop)

    async def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a job in the thread and wait for it in the caller's event loop."""
        return await asyncio.wrap_future(self.submit(job))

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function in the thread, in the order of calls; ignored once stopped."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def stop(self) -> None:
        """Cancel the remaining jobs, and end the thread."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(FutureTimeout):  # a job that does not end is abandoned
            self.submit(_cancel_others()).result(STOP_TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
