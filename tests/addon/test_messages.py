"""Offset tables of binary messages."""

from __future__ import annotations

import pytest
from notebook_remote_gateway.messages import find_fault


def table_v1(*offsets: int, body: bytes = b"") -> bytes:
    return b"".join(n.to_bytes(8, "little") for n in (len(offsets), *offsets)) + body


def table_json(*offsets: int, body: bytes = b"") -> bytes:
    return b"".join(n.to_bytes(4, "big") for n in (len(offsets), *offsets)) + body


def test_valid_offset_tables() -> None:
    assert find_fault(table_v1(24, 29, body=b"shell"), v1=True) is None
    assert find_fault(table_v1(32, 37, 37, body=b"shell"), v1=True) is None
    assert find_fault(table_json(12, 14, body=b"{}x"), v1=False) is None
    assert find_fault("{}", v1=False) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"1234567",
        table_v1(),
        (2**64 - 1).to_bytes(8, "little"),
        (16_385).to_bytes(8, "little") + bytes(8 * 16_385),
        (3).to_bytes(8, "little") + bytes(8),
        table_v1(24, 30, body=b"shell"),
        table_v1(24, 2**63, body=b"shell"),
        table_v1(29, 24, body=b"shell"),
        table_v1(0, 29, body=b"shell"),
        "text",
    ],
)
def test_invalid_offset_tables(message: str | bytes) -> None:
    assert find_fault(message, v1=True)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"123",
        table_json(),
        b"\xff\xff\xff\xff",
        table_json(12, 99, body=b"{}"),
        table_json(14, 12, body=b"{}"),
    ],
)
def test_invalid_offset_tables_of_the_older_protocol(message: bytes) -> None:
    assert find_fault(message, v1=False)
