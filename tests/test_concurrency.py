"""One request for many who want its answer."""

from __future__ import annotations

import asyncio

import pytest

from notebook_remote.concurrency import SingleFlight


def test_everyone_gets_the_answer_of_one_request() -> None:
    async def test() -> None:
        asked = []

        async def ask() -> int:
            asked.append(1)
            await asyncio.sleep(0)
            return len(asked)

        shared = SingleFlight("test", ask)
        assert await asyncio.gather(*(shared.fresh() for _ in range(5))) == [1] * 5
        assert await shared.recent(60) == 1
        assert await shared.recent(0) == 2
        shared.forget()
        assert await shared.recent(60) == 3

    asyncio.run(test())


def test_who_stops_waiting_does_not_stop_the_request() -> None:
    async def test() -> None:
        go = asyncio.Event()

        async def ask() -> str:
            await go.wait()
            return "answer"

        shared = SingleFlight("test", ask)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(shared.fresh(), 0.01)
        go.set()
        assert await shared.recent(60) == "answer"

    asyncio.run(test())


def test_an_error_is_no_answer() -> None:
    async def test() -> None:
        answers = iter([ValueError("no"), "yes"])

        async def ask() -> str:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        shared = SingleFlight("test", ask)
        with pytest.raises(ValueError, match="no"):
            await shared.recent(60)
        assert await shared.recent(60) == "yes"

    asyncio.run(test())
