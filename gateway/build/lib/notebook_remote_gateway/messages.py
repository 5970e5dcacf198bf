"""The offset table at the beginning of a binary message from a page, checked.

A stock gateway that gets one with an absurd count or with offsets beyond the message's end spins
and grows until it is of no use to anybody. What notebook_remote/messages.py does for the relay is
done here for a page's own connection.
"""

from __future__ import annotations

import struct

V1 = "v1.kernel.websocket.jupyter.org"
MAX_PARTS = 16_384  # a widget has a handful of buffers; a stock gateway makes objects of each


def fault_of(message: str | bytes, v1: bool) -> str | None:
    """Say what is wrong with a message, or return None. Text is JSON, and has no table."""
    if isinstance(message, str):
        return "text, where only binary messages are agreed on" if v1 else None
    width = 8 if v1 else 4
    count = int.from_bytes(message[:width], "little" if v1 else "big")
    if len(message) < width or not 1 <= count <= MAX_PARTS:
        return "an impossible number of parts"
    begin = width * (count + 1)
    if len(message) < begin:
        return "a table that is cut off"
    offsets = struct.unpack_from(f"<{count}Q" if v1 else f"!{count}I", message, width)
    if offsets[0] < begin or list(offsets) != sorted(offsets) or offsets[-1] > len(message):
        return "parts out of order or beyond its end"
    return None
