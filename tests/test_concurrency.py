"""Requests that waiters share, delays between attempts, calls in daemon threads."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from notebook_remote.concurrency import SingleFlight, backoff, run_in_daemon_thread


def test_all_waiters_get_the_result_of_one_request() -> None:
    async def test() -> None:
        requests = []

        async def request() -> int:
            requests.append(1)
            await asyncio.sleep(0)
            return len(requests)

        shared = SingleFlight("test", request)
        assert await asyncio.gather(*(shared.fresh() for _ in range(5))) == [1] * 5
        assert await shared.recent(60) == 1
        assert await shared.recent(0) == 2
        shared.forget()
        assert await shared.recent(60) == 3

    asyncio.run(test())


def test_cancelling_a_waiter_does_not_cancel_the_request() -> None:
    async def test() -> None:
        go = asyncio.Event()

        async def request() -> str:
            await go.wait()
            return "answer"

        shared = SingleFlight("test", request)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(shared.fresh(), 0.01)
        go.set()
        assert await shared.recent(60) == "answer"

    asyncio.run(test())


def test_an_error_is_not_remembered() -> None:
    async def test() -> None:
        answers = iter([ValueError("no"), "yes"])

        async def request() -> str:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        shared = SingleFlight("test", request)
        with pytest.raises(ValueError, match="no"):
            await shared.recent(60)
        assert await shared.recent(60) == "yes"

    asyncio.run(test())


def test_delays_double_up_to_the_longest() -> None:
    assert list(itertools.islice(backoff(1, 5), 5)) == [1, 2, 4, 5, 5]


def test_a_call_in_a_daemon_thread_gives_its_result_or_error() -> None:
    async def test() -> None:
        assert await run_in_daemon_thread(lambda: threading.current_thread().daemon, "test")
        with pytest.raises(ZeroDivisionError):
            await run_in_daemon_thread(lambda: 1 // 0, "test")

    asyncio.run(test())
