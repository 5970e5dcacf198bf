"""A thread with an event loop: jobs from any thread, and its end."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import CancelledError

import pytest

from notebook_remote.headless.event_loop_thread import HTTPX_FILTER, EventLoopThread


async def current_thread() -> str:
    return threading.current_thread().name


def test_jobs_run_in_the_thread() -> None:
    thread = EventLoopThread("kernel")
    assert thread.submit(current_thread()).result() == "kernel"
    assert asyncio.run(thread.run(current_thread())) == "kernel"
    called = threading.Event()
    thread.call(called.set)
    assert called.wait(5)
    thread.stop()


def test_a_stop_cancels_what_runs() -> None:
    thread = EventLoopThread("kernel")
    job = thread.submit(asyncio.sleep(60))
    thread.stop()
    with pytest.raises(CancelledError):
        job.result(5)
    with pytest.raises(RuntimeError, match="has been closed"):
        thread.submit(current_thread())
    thread.call(print)  # ignored
    thread.stop()


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_httpx_logs_only_for_others(level: int) -> None:
    record = logging.LogRecord("httpx", logging.INFO, "", 0, "HTTP Request", (), None)
    assert HTTPX_FILTER.filter(record)
    logger = logging.getLogger("httpx")
    before = logger.level
    HTTPX_FILTER.threads.add(threading.get_ident())
    try:
        logger.setLevel(level)
        assert HTTPX_FILTER.filter(record) is (level == logging.DEBUG)
        record.levelno = logging.WARNING
        assert HTTPX_FILTER.filter(record)
    finally:
        logger.setLevel(before)
        HTTPX_FILTER.threads.discard(threading.get_ident())
