"""Validation of the offset table at the beginning of a binary message from a page.

A stock gateway that receives a table with an absurd count or with offsets beyond the message's end
loops and allocates memory until it is useless to everybody. The relay of notebook-remote checks the
messages that pass through a notebook server; this module does the same on a page's own connection.
"""

from __future__ import annotations

import struct

V1 = "v1.kernel.websocket.jupyter.org"
# A widget's message has a handful of buffers, and a stock gateway makes objects for each part.
MAX_PARTS = 16_384


def find_fault(message: str | bytes, v1: bool) -> str | None:
    """Return what is wrong with a message, or None. A text message is JSON and has no table."""
    if isinstance(message, str):
        return "text, although the subprotocol has binary messages only" if v1 else None
    width = 8 if v1 else 4
    count = int.from_bytes(message[:width], "little" if v1 else "big")
    if len(message) < width or not 1 <= count <= MAX_PARTS:
        return "an impossible number of parts"
    table_size = width * (count + 1)
    if len(message) < table_size:
        return "a truncated offset table"
    offsets = struct.unpack_from(f"<{count}Q" if v1 else f"!{count}I", message, width)
    if offsets[0] < table_size or list(offsets) != sorted(offsets) or offsets[-1] > len(message):
        return "parts out of order or beyond the message's end"
    return None
