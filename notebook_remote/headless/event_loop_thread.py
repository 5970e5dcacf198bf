"""A thread with an event loop, for programs that have none, or another one each time they wait.

nbconvert and papermill run an event loop for as long as a call takes and stop it in between;
pings and reconnects cannot live in such a loop.
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
STOP_TIMEOUT = 5.0  # seconds for what still runs there to end


class Quiet(logging.Filter):
    """Keeps httpx's line for each of our requests out of the log of a program that is not ours.

    papermill, say, logs all that is INFO in between its progress bar. Those of other threads pass,
    and ours where somebody looks for them, with DEBUG.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Called by logging for each line."""
        ours = record.thread in self.threads and record.levelno < logging.WARNING
        return not ours or logging.getLogger("httpx").isEnabledFor(logging.DEBUG)


QUIET = Quiet()


class EventLoopThread:
    """The thread. Its owner calls ``stop``; it does not keep a process from ending."""

    def __init__(self, name: str) -> None:
        logging.getLogger("httpx").addFilter(QUIET)  # once, however often it is called
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        QUIET.threads.add(threading.get_ident())
        try:
            self._loop.run_forever()
        finally:
            QUIET.threads.discard(threading.get_ident())

    def submit(self, job: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a job there; the caller may be in any thread. Raises RuntimeError once stopped."""
        if self._loop.is_closed():
            job.close()
            raise RuntimeError("This kernel's connection has been closed.")
        return asyncio.run_coroutine_threadsafe(job, self._loop)

    async def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a job there and wait for it in the caller's own event loop."""
        return await asyncio.wrap_future(self.submit(job))

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function there soon, in the order of the calls; nothing once stopped."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *args)

    def stop(self) -> None:
        """Cancel what still runs there, and end the thread."""
        if self._loop.is_closed():
            return
        with contextlib.suppress(FutureTimeout):  # what does not end is left behind
            self.submit(_cancel_others()).result(STOP_TIMEOUT)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
