"""A kernel's messages on a WebSocket, for our own clients: both wire formats, with buffers."""

from __future__ import annotations

import itertools
import json
import struct
from typing import Any

from jupyter_client.jsonutil import extract_dates, json_default
from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)

from .frames import BAD_DATA, BINARY, TEXT, FrameError
from .messages import Table

Model = dict[str, Any]

PARTS = ("header", "parent_header", "metadata", "content")


def encode(message: Model, channel: str, session: Session, v1: bool) -> tuple[int, bytes]:
    """The opcode and payload for a message such as ``session.msg`` makes."""
    buffers = list(message.get("buffers") or ())
    if v1:
        parts = [session.pack(message[part]) for part in PARTS]
        return BINARY, serialize_msg_to_ws_v1([*parts, *buffers], channel)
    whole = {**message, "channel": channel, "buffers": buffers}
    if buffers:
        return BINARY, serialize_binary_message(whole)
    return TEXT, json.dumps(whole, default=json_default).encode()


def decode(opcode: int, payload: bytes, v1: bool) -> tuple[str, Model]:
    """The channel of a message and the message, as ``Session.deserialize`` returns it.

    Raises FrameError for what is none.
    """
    try:
        if opcode == TEXT:
            message = json.loads(payload)
            message["buffers"] = []
        else:
            message = _decode_v1(payload) if v1 else deserialize_binary_message(payload)
        channel = str(message.pop("channel"))
        for part in ("header", "parent_header"):
            message[part] = extract_dates(message[part])
        message["msg_id"] = message["header"]["msg_id"]
        message["msg_type"] = message["header"]["msg_type"]
        message["content"].get("x")  # an object, as everybody expects
    except (ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
        raise FrameError(f"what is no message of Jupyter's ({error})", BAD_DATA) from error
    return channel, message


def _decode_v1(payload: bytes) -> Model:
    table = Table(v1=True)
    table.read(payload)
    table.check_end(len(payload))
    offsets = table.offsets or ()
    channel, *parts = [payload[begin:end] for begin, end in itertools.pairwise(offsets)]
    texts, buffers = parts[: len(PARTS)], parts[len(PARTS) :]
    message: Model = {name: json.loads(text) for name, text in zip(PARTS, texts, strict=True)}
    return {**message, "channel": channel.decode(), "buffers": buffers}
