"""What of a browser's messages may reach a gateway."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import struct
from typing import Any

import pytest

from notebook_remote.client.messages import V1
from notebook_remote.handlers.message_filter import MessageFilter, session_of
from notebook_remote.net.frames import BINARY, TEXT, FrameError, encode_frame
from notebook_remote.net.leg import Rejection

from ..support.frames import ABSURD, chunks, fragments, old_table, request, v1

LIMIT = 1_000_000


def passed(guard: MessageFilter, data: bytes, seed: int = 0) -> tuple[bytes, list[Rejection]]:
    out, answers = b"", []
    for chunk in chunks(data, random.Random(seed)):
        for item in guard.feed(chunk):
            if isinstance(item, bytes):
                out += item
            elif isinstance(item, Rejection):
                answers.append(item)
    return out, answers


def parsed(data: bytes) -> tuple[str, list[dict[str, Any]]]:
    """An unmasked v1 frame: channel, and header, parent header, metadata, content."""
    payload = data[{126: 4, 127: 10}.get(data[1], 2) :]
    count = int.from_bytes(payload[:8], "little")
    offsets = struct.unpack_from(f"<{count}Q", payload, 8)
    parts = [payload[a:b] for a, b in itertools.pairwise(offsets)]
    return parts[0].decode(), [json.loads(part) for part in parts[1:]]


@pytest.mark.parametrize("seed", range(10))
def test_good_messages_pass_unchanged(seed: int) -> None:
    data = b"".join(
        [
            encode_frame(BINARY, request(), to_gateway=True),
            encode_frame(TEXT, b'{"channel": "shell"}', to_gateway=True),
            fragments(
                BINARY, request(5000)[:3], request(5000)[3:90], request(5000)[90:], to_gateway=True
            ),
            encode_frame(BINARY, request(200_000), to_gateway=True),
            fragments(TEXT, b"a", b"", to_gateway=True),
        ]
    )
    guard = MessageFilter(V1, LIMIT)
    assert passed(guard, data, seed) == (data, [])
    assert guard.between_frames


@pytest.mark.parametrize("seed", range(5))
def test_good_messages_of_the_older_protocol_pass(seed: int) -> None:
    table = old_table(12, 12 + 2)
    data = encode_frame(BINARY, table + b"{}" + b"\x00" * 5000, to_gateway=True)
    assert passed(MessageFilter(None, LIMIT), data, seed) == (data, [])


@pytest.mark.parametrize("payload", ABSURD.values(), ids=ABSURD.keys())
def test_an_absurd_table_reaches_no_gateway(payload: bytes) -> None:
    """Facts 20: such a frame makes a stock gateway spin and grow."""
    for data in (
        encode_frame(BINARY, payload, to_gateway=True),
        fragments(BINARY, payload[:9], payload[9:], to_gateway=True),
    ):
        guard = MessageFilter(V1, LIMIT)
        let_through = b""
        with pytest.raises(FrameError):  # noqa: PT012 - what came before it counts
            for chunk in chunks(data, random.Random(0)):
                for item in guard.feed(chunk):
                    assert isinstance(item, bytes)
                    let_through += item
        # Of a message in parts something may have passed, but never its end.
        assert len(let_through) < len(data)
        if data[0] & 0x80:
            assert let_through == b""


@pytest.mark.parametrize(
    "payload",
    [old_table(8)[:3], b"\x7f\xff\xff\xff" + b"x" * 100, old_table(4, 2**31), old_table()],
)
def test_an_absurd_table_of_the_older_protocol_neither(payload: bytes) -> None:
    with pytest.raises(FrameError):
        passed(MessageFilter(None, LIMIT), encode_frame(BINARY, payload, to_gateway=True))


def frames_of(answer: Rejection) -> list[bytes]:
    async def made() -> list[bytes]:
        return await answer.frames()

    return asyncio.run(made())


def test_an_answer_of_ours_is_as_one_of_the_kernel() -> None:
    """JupyterLab drops what waits at a foreign session, and takes each status for the kernel's."""

    async def busy() -> bool:
        return True

    header = json.dumps({"msg_type": "status", "session": "kernel's"}).encode()
    latest = encode_frame(BINARY, v1("iopub", header, b"{}", b"{}", b"{}"))
    guard = MessageFilter(V1, LIMIT, latest_from_kernel=lambda: latest, is_busy=busy)
    _, [answer] = passed(guard, encode_frame(BINARY, request(LIMIT), to_gateway=True))
    messages = [parsed(f)[1] for f in frames_of(answer)]
    assert {parts[0]["session"] for parts in messages} == {"kernel's"}
    states = [(p[3].get("execution_state"), bool(p[1])) for p in messages]
    assert states[-2:] == [("idle", True), ("busy", False)]


@pytest.mark.parametrize(
    "message", [b"", b"\x02", b"{}", bytes(range(100)), v1("iopub", b"[]", b"")]
)
def test_a_session_that_cannot_be_read(message: bytes) -> None:
    assert session_of(message) == ""


def test_empty_frames_without_end_are_refused() -> None:
    guard = MessageFilter(V1, LIMIT)
    beginning = fragments(BINARY, b"\x05", b"", to_gateway=True)
    assert beginning[-6] == 0x80  # the head of the last frame
    first, empty = beginning[:-6], b"\x00" + beginning[-5:]
    with pytest.raises(FrameError, match="too many frames"):
        passed(guard, first + empty * 100_000)


def test_a_message_that_is_too_large_is_answered_in_its_cell() -> None:
    refusals: list[str] = []
    guard = MessageFilter(V1, LIMIT, refusals.append)
    small = encode_frame(BINARY, request(), to_gateway=True)
    data = small + encode_frame(BINARY, request(LIMIT), to_gateway=True) + small
    out, [answer] = passed(guard, data)
    assert out == small + small
    assert not answer.closes_connection
    assert refusals == [answer.text]
    assert "--Gateway.max_message_size" in answer.text
    messages = [parsed(f) for f in frames_of(answer)]
    assert [(channel, parts[0]["msg_type"]) for channel, parts in messages] == [
        ("iopub", "status"),
        ("iopub", "error"),
        ("shell", "execute_reply"),
        ("iopub", "status"),
    ]
    assert all(parts[1]["msg_id"] == "m1" for _, parts in messages)
    assert messages[1][1][3]["evalue"] == answer.text


def test_one_in_parts_ends_the_connection_after_its_answer() -> None:
    """Chromium sends everything over 130 kB in parts; the first have passed before it is known."""
    message = request(LIMIT)
    data = fragments(BINARY, message[:500_000], message[500_000:], to_gateway=True)
    out, [answer] = passed(MessageFilter(V1, LIMIT), data)
    assert data.startswith(out)
    assert len(out) < 600_000
    assert answer.closes_connection
    assert frames_of(answer)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_what_cannot_be_answered_is_refused_all_the_same(opcode: int) -> None:
    data = encode_frame(opcode, v1("shell", b"no JSON", b"x" * LIMIT), to_gateway=True)
    out, [answer] = passed(MessageFilter(V1, LIMIT), data)
    assert (out, frames_of(answer)) == (b"", [])


def test_a_widgets_upload_gets_an_idle_and_no_reply() -> None:
    data = encode_frame(BINARY, request(LIMIT, "comm_msg"), to_gateway=True)
    _, [answer] = passed(MessageFilter(V1, LIMIT), data)
    assert [parsed(f)[1][0]["msg_type"] for f in frames_of(answer)] == ["status", "status"]
