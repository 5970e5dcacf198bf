"""The doctor's own encoding of kernel messages."""

from __future__ import annotations

import json

import pytest
import websocket

from notebook_remote.doctor.channels import NAMES, as_json, decode, encode_v1

BINARY, TEXT = websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT
PARTS = [{"msg_type": "status"}, {}, {}, {"execution_state": "idle"}]


@pytest.mark.parametrize("buffers", [[], [b"\x00\xff", b""]])
def test_v1_there_and_back(buffers: list[bytes]) -> None:
    data = encode_v1([b"iopub", *map(as_json, PARTS), *buffers])
    message = decode(data, BINARY)
    assert message is not None
    assert [message[name] for name in NAMES] == PARTS
    assert message["buffers"] == buffers


def test_text_with_null_for_an_empty_part() -> None:
    whole = dict(zip(NAMES, PARTS, strict=True)) | {"metadata": None, "channel": "iopub"}
    message = decode(json.dumps(whole).encode(), TEXT)
    assert message is not None
    assert [message[name] for name in NAMES] == PARTS


@pytest.mark.parametrize(
    ("data", "opcode"),
    [
        (b"", BINARY),
        (b"\xff" * 8, BINARY),
        (encode_v1([b"iopub", *[b"{"] * 4]), BINARY),
        (encode_v1([b"iopub", *[b"[1]"] * 4]), BINARY),
        (b"no JSON", TEXT),
        (b"{}", TEXT),
        (b"[" * 100_000, TEXT),
    ],
)
def test_malformed_messages_are_none(data: bytes, opcode: int) -> None:
    assert decode(data, opcode) is None
