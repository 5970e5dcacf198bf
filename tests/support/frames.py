"""WebSocket frames and kernel messages for tests, good and bad."""

from __future__ import annotations

import json
import random
import struct

from notebook_remote.client.messages import MAX_PARTS
from notebook_remote.net.frames import TEXT, encode_frame


def chunks(data: bytes, sizes: random.Random) -> list[bytes]:
    found, position = [], 0
    while position < len(data):
        size = sizes.choice((1, 2, 3, 7, 100, 70_000))
        found.append(data[position : position + size])
        position += size
    return found


def fragments(opcode: int, *payloads: bytes, to_gateway: bool = False) -> bytes:
    """One message in several frames."""
    made = [encode_frame(opcode if i == 0 else 0, p, to_gateway) for i, p in enumerate(payloads)]
    return b"".join(bytes((f[0] & 0x7F,)) + f[1:] for f in made[:-1]) + made[-1]


BAD = {
    "not masked": encode_frame(TEXT, b"abc"),
    "reserved bit": bytes((0x80 | 0x40 | TEXT, 0x80)) + b"mask",
    "unknown opcode": bytes((0x83, 0x80)) + b"mask",
    "unknown control opcode": bytes((0x8B, 0x80)) + b"mask",
    "long control": bytes((0x89, 0x80 | 126)) + b"\x00\x7e" + b"mask",
    "control in parts": bytes((0x09, 0x80)) + b"mask",
    "impossible length": bytes((0x82, 0x80 | 127)) + b"\xff" * 8 + b"mask",
    "continuation of nothing": encode_frame(0, b"abc", to_gateway=True),
    "message in a message": fragments(TEXT, b"a", b"b", to_gateway=True)[:7]
    + encode_frame(TEXT, b"c", to_gateway=True),
}


def v1(channel: str, *parts: bytes) -> bytes:
    layout = [channel.encode(), *parts]
    offsets = [8 * (len(layout) + 2)]
    for part in layout:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(layout)


def request(size: int = 0, msg_type: str = "execute_request") -> bytes:
    header = {"msg_id": "m1", "msg_type": msg_type, "session": "s", "username": ""}
    return v1("shell", json.dumps(header).encode(), b"{}", b"{}", b"x" * size)


def old_table(*offsets: int) -> bytes:
    return struct.pack(f"!{len(offsets) + 1}I", len(offsets), *offsets)


def q(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}Q", *numbers)


ABSURD = {
    "no parts": q(0) + b"x" * 100,
    "2**62 parts": q(2**62) + b"x" * 100,
    "more parts than anyone has": q(MAX_PARTS + 1) + b"x" * 100,
    "a part beyond the end": q(2, 24, 1_000) + b"x" * 100,
    "a part far beyond the end": q(2, 24, 2**63) + b"x" * 100,
    "out of order": q(3, 32, 40, 36) + b"x" * 100,
    "a part in the table": q(2, 8, 24) + b"x" * 100,
    "cut off": q(6, 56, 57),
    "shorter than its count": b"\x06\x00",
    "empty": b"",
}
