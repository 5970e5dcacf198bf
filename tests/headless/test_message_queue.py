"""A kernel's messages by channel, and the end of the queue."""

from __future__ import annotations

import asyncio
from queue import Empty

import pytest

from notebook_remote.headless.message_queue import MessageQueue


def test_messages_come_in_order_by_channel() -> None:
    async def test() -> None:
        queue = MessageQueue()
        for channel, number in (("shell", 1), ("iopub", 2), ("shell", 3)):
            queue.put(channel, {"number": number})
        assert queue.has("iopub")
        assert await queue.get("iopub") == ("iopub", {"number": 2})
        assert await queue.get("iopub", "shell") == ("shell", {"number": 1})
        assert await queue.get("shell") == ("shell", {"number": 3})
        with pytest.raises(Empty):
            await queue.get("shell", "iopub", timeout=0)

    asyncio.run(test())


def test_a_reader_waits_for_a_message() -> None:
    async def test() -> None:
        queue = MessageQueue()
        reader = asyncio.create_task(queue.get("shell"))
        await asyncio.sleep(0)
        queue.put("iopub", {})
        await asyncio.sleep(0)
        assert not reader.done()
        queue.put("shell", {"number": 1})
        assert await reader == ("shell", {"number": 1})

    asyncio.run(test())


def test_an_error_is_raised_once() -> None:
    async def test() -> None:
        queue = MessageQueue()
        queue.put("shell", RuntimeError("lost"))
        queue.put("shell", {})
        with pytest.raises(RuntimeError, match="lost"):
            await queue.get("shell")
        assert await queue.get("shell") == ("shell", {})

    asyncio.run(test())


def test_a_closed_queue_raises_the_first_reason_for_all_readers() -> None:
    async def test() -> None:
        queue = MessageQueue()
        reader = asyncio.create_task(queue.get("shell"))
        await asyncio.sleep(0)
        queue.put("iopub", {})
        queue.fail(RuntimeError("first"))
        queue.fail(RuntimeError("second"))
        with pytest.raises(RuntimeError, match="first"):
            await reader
        assert await queue.get("iopub") == ("iopub", {})
        with pytest.raises(RuntimeError, match="first"):
            await queue.get("iopub")

    asyncio.run(test())
