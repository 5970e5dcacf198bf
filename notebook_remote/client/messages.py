"""Encodes and decodes kernels' messages on a WebSocket: both wire formats, with buffers.

Third-party kernels and gateways send malformed messages. ``decode`` repairs a message whose meaning
is clear; any other is unreadable, and only that message is lost.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
from typing import Any

from jupyter_client.jsonutil import extract_dates, json_default
from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import (
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)

from ..net.frames import BAD_DATA, BINARY, TEXT, FrameError
from ..types import JsonObject

V1 = "v1.kernel.websocket.jupyter.org"  # WebSocket subprotocol
MAX_PARTS = 16_384  # of a message; each costs a stock gateway memory, and widgets send a handful
MIB = 1024 * 1024  # bytes
PARTS = ("header", "parent_header", "metadata", "content")
DEFAULT_PROTOCOL = "5.3"  # of a kernel that does not report its version
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # may be half of a surrogate pair
JSON_TYPE = re.compile(r"application/(.*\+)?json")  # types whose data is JSON in a notebook
# Fields that clients expect to be text, by message type.
TEXT_FIELDS = {
    "stream": ("name", "text"),
    "error": ("ename", "evalue"),
    "status": ("execution_state",),
    "comm_open": ("comm_id", "target_name"),
    "comm_msg": ("comm_id",),
    "comm_close": ("comm_id",),
    "input_request": ("prompt",),
    "execute_reply": ("status",),
}
DISPLAY_TYPES = ("display_data", "execute_result", "update_display_data")
TYPES_WITH_DATA = (*DISPLAY_TYPES, "comm_open", "comm_msg", "comm_close")


class UnreadableMessage(ValueError):
    """A message that cannot be decoded."""


def encode(message: JsonObject, channel: str, session: Session, v1: bool) -> tuple[int, bytes]:
    """The opcode and payload for a message made by ``session.msg``."""
    buffers = list(message.get("buffers") or ())
    if v1:
        parts = [session.pack(message[part]) for part in PARTS]
        return BINARY, serialize_msg_to_ws_v1([*parts, *buffers], channel)
    whole = {**message, "channel": channel, "buffers": buffers}
    if buffers:
        return BINARY, serialize_binary_message(whole)
    return TEXT, json.dumps(whole, default=json_default).encode()


def decode(opcode: int, payload: bytes, v1: bool) -> tuple[str, JsonObject]:
    """The channel of a message, and the message as ``Session.deserialize`` returns it.

    Raises UnreadableMessage.
    """
    try:
        if opcode == TEXT:
            message = _json(payload)
            message["buffers"] = []
        else:
            message = _decode_v1(payload) if v1 else _decode_legacy(payload)
        channel = str(message.pop("channel"))
        for part in PARTS:
            message[part] = message.get(part) or {}
        for part in ("header", "parent_header"):
            message[part] = extract_dates(message[part])
        message["msg_id"] = str(message["header"]["msg_id"])
        message["msg_type"] = str(message["header"]["msg_type"])
        normalize(message)
    except (
        AttributeError,
        FrameError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
        struct.error,
    ) as error:
        raise UnreadableMessage(str(error) or type(error).__name__) from error
    return channel, message


def _decode_v1(payload: bytes) -> JsonObject:
    table = OffsetTable(v1=True)
    table.read(payload)
    table.check_end(len(payload))
    offsets = table.offsets or ()
    channel, *parts = [payload[begin:end] for begin, end in itertools.pairwise(offsets)]
    texts, buffers = parts[: len(PARTS)], parts[len(PARTS) :]
    message: JsonObject = {name: _json(text) for name, text in zip(PARTS, texts, strict=True)}
    return {**message, "channel": channel.decode(), "buffers": buffers}


def _decode_legacy(payload: bytes) -> JsonObject:
    table = OffsetTable(v1=False)
    table.read(payload)
    table.check_end(len(payload))
    offsets = [*(table.offsets or ()), len(payload)]
    text, *buffers = [payload[begin:end] for begin, end in itertools.pairwise(offsets)]
    return {**_json(text), "buffers": buffers}


def _json(text: bytes) -> Any:
    """Parse JSON; bytes that are not UTF-8, and lone surrogates, become U+FFFD.

    Kernels pass on a program's output unchanged: a file name in Latin-1, for example.
    """
    whole = text.decode("utf-8", "replace")
    value = json.loads(whole)
    if not SURROGATE.search(whole):
        return value
    halves = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass")
    return json.loads(halves.decode("utf-16", "replace"))


def normalize(message: JsonObject) -> None:
    """Repair a message in place, so that its fields have the types that clients expect.

    Raises UnreadableMessage if its meaning is not clear.
    """
    if not all(isinstance(message[part], dict) for part in PARTS):
        raise UnreadableMessage("a part of it is no object")
    if "msg_id" in message["parent_header"]:
        message["parent_header"]["msg_id"] = str(message["parent_header"]["msg_id"])
    kind, content = message["msg_type"], message["content"]
    for name in TEXT_FIELDS.get(kind, ()):
        content[name] = _text(content.get(name))
    if kind in TYPES_WITH_DATA:
        content["data"] = content.get("data") or {}
        if not isinstance(content["data"], dict):
            raise UnreadableMessage(f"the data of its {kind} is no object")
    if kind == "kernel_info_reply" and not re.match(r"\d", str(content.get("protocol_version"))):
        content["protocol_version"] = DEFAULT_PROTOCOL
    if kind == "error" or "traceback" in content:
        lines = content.get("traceback")
        content["traceback"] = [_text(line) for line in (lines if isinstance(lines, list) else ())]
    if kind in DISPLAY_TYPES:
        content["data"] = {
            mime: _display_data(mime, data) for mime, data in content["data"].items()
        }
        for name in ("metadata", "transient"):
            content[name] = content[name] if isinstance(content.get(name), dict) else {}
        if not isinstance(content["transient"].get("display_id", ""), str):
            content["transient"] = {}
    if "execution_count" in content or kind == "execute_result":
        content["execution_count"] = _execution_count(content.get("execution_count"))


def _display_data(mime: str, data: Any) -> Any:
    """Data of a display as nbformat allows it: text, or any JSON for JSON types."""
    if JSON_TYPE.fullmatch(mime):
        return data
    lines = isinstance(data, list) and all(isinstance(line, str) for line in data)
    return data if lines else _text(data)


def _execution_count(value: Any) -> int | None:
    """An execution count as nbformat allows it."""
    return value if type(value) is int and value >= 0 else None  # not a bool


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value)


def ends_kernel(reply: JsonObject) -> bool:
    """Whether the reply to an execution ends the kernel: its code called exit() or quit()."""
    payload = reply["content"].get("payload")
    return reply["msg_type"] == "execute_reply" and any(
        isinstance(item, dict) and item.get("source") == "ask_exit" and not item.get("keepkernel")
        for item in (payload if isinstance(payload, list) else ())
    )


class OffsetTable:
    """The offset table at the start of a binary message."""

    def __init__(self, v1: bool) -> None:
        self._v1 = v1
        self.offsets: tuple[int, ...] | None = None  # known once the table is complete

    def read(self, beginning: bytes | bytearray) -> bool:
        """Parse the message's first bytes; returns whether the table is complete.

        Raises FrameError for a table that no front end writes.
        """
        width = 8 if self._v1 else 4
        if len(beginning) < width:
            return False
        count = int.from_bytes(beginning[:width], "little" if self._v1 else "big")
        if not 1 <= count <= MAX_PARTS:
            raise bad_offset_table(f"{count} parts")
        begin = width * (count + 1)
        if len(beginning) < begin:
            return False
        kind = f"<{count}Q" if self._v1 else f"!{count}I"
        offsets = struct.unpack_from(kind, beginning, width)
        if offsets[0] < begin or list(offsets) != sorted(offsets):
            raise bad_offset_table("parts out of order")
        self.offsets = offsets
        return True

    def check_end(self, size: int) -> None:
        """Raise FrameError if a part lies beyond the message's end, of ``size`` bytes."""
        if self.offsets is None:
            raise bad_offset_table("it is cut off")
        if self.offsets[-1] > size:
            raise bad_offset_table("parts beyond its end")


def bad_offset_table(what: str) -> FrameError:
    """The error for an offset table that would harm a gateway."""
    return FrameError(f"a message with an impossible offset table: {what}", BAD_DATA)


def too_large(size: int, most: int) -> str:
    """The sentence for a message of ``size`` bytes, of which the gateway accepts ``most``."""
    return (
        f"A message of {size / MIB:.1f} MiB was not sent to the kernel: the gateway takes"
        f" {most / MIB:g} MiB at most. Send less at once, or, if the gateway takes more, raise"
        " --Gateway.max_message_size (bytes)."
    )
