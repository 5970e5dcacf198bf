"""Both wire formats there and back; malformed messages are in headless/test_manager.py."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from jupyter_client.session import Session

from notebook_remote.client.messages import (
    MAX_PARTS,
    OffsetTable,
    UnreadableMessage,
    decode,
    encode,
    ends_kernel,
    too_large,
)
from notebook_remote.net.frames import BINARY, TEXT, FrameError

SESSION = Session(key=b"")


def message(**content: Any) -> dict[str, Any]:
    return dict(SESSION.msg("execute_request", content={"code": "é", **content}))


@pytest.mark.parametrize("v1", [True, False])
@pytest.mark.parametrize("buffers", [[], [b"", b"\x00" * 5]])
def test_a_message_is_the_same_after_encoding_and_decoding(v1: bool, buffers: list[bytes]) -> None:
    sent = {**message(), "buffers": buffers}
    opcode, payload = encode(sent, "shell", SESSION, v1)
    assert opcode == (BINARY if v1 or buffers else TEXT)
    channel, received = decode(opcode, payload, v1)
    assert channel == "shell"
    assert received["buffers"] == buffers
    assert received["content"] == {"code": "é"}
    assert received["header"]["msg_id"] == received["msg_id"] == sent["header"]["msg_id"]


@pytest.mark.parametrize(
    ("opcode", "payload"),
    [
        (TEXT, b""),
        (TEXT, b"[]"),
        (TEXT, b"[" * 100_000),
        (TEXT, b'{"channel": "iopub", "header": {}}'),
        (BINARY, b""),
        (BINARY, b"\xff" * 100),
    ],
)
@pytest.mark.parametrize("v1", [True, False])
def test_what_cannot_be_decoded(opcode: int, payload: bytes, v1: bool) -> None:
    with pytest.raises(UnreadableMessage):
        decode(opcode, payload, v1)


def test_an_offset_table_may_come_in_parts() -> None:
    data = struct.pack("<4Q", 3, 32, 40, 50)
    table = OffsetTable(v1=True)
    assert not table.read(data[:7])
    assert not table.read(data[:-1])
    assert table.read(data)
    assert table.offsets == (32, 40, 50)
    table.check_end(50)
    with pytest.raises(FrameError, match="beyond its end"):
        table.check_end(49)


@pytest.mark.parametrize(
    "offsets", [(), (0,) * (MAX_PARTS + 1), (0, 40), (24, 23), (24, 2**64 - 1, 24)]
)
def test_an_absurd_offset_table(offsets: tuple[int, ...]) -> None:
    data = struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets)
    with pytest.raises(FrameError, match="impossible offset table"):
        OffsetTable(v1=True).read(data)


@pytest.mark.parametrize(
    ("payload", "ends"),
    [
        ([{"source": "ask_exit", "keepkernel": False}], True),
        ([{"source": "ask_exit", "keepkernel": True}], False),
        ([{"source": "page"}, None], False),
        (None, False),
    ],
)
def test_a_reply_to_exit_ends_the_kernel(payload: Any, ends: bool) -> None:
    reply = {"msg_type": "execute_reply", "content": {"payload": payload}}
    assert ends_kernel(reply) is ends
    assert not ends_kernel({**reply, "msg_type": "inspect_reply"})


def test_the_sentence_about_a_large_message_names_the_option() -> None:
    sentence = too_large(11 * 1024 * 1024, 10 * 1024 * 1024)
    assert "11.0 MiB" in sentence
    assert "--Gateway.max_message_size" in sentence
