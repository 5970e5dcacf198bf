"""Checks a browser's messages before they reach a gateway, which other people may share.

A stock gateway that gets a message with an absurd offset table uses up its CPU and memory, and one
that gets a message over its limit (10 MiB, tornado's default) closes the connection without telling
the user. So the offset table is checked, and a message that is too large is not sent on but
answered with an error in its cell. Nothing else of a message is read or changed.

The wire formats: jupyter_server's ``v1.kernel.websocket.jupyter.org`` (a table of 64-bit little
endian offsets, then the channel and the parts) and the older one (JSON text, or for binary buffers
a table of 32-bit big endian offsets); both in ``services/kernels/connection/base.py``.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from jupyter_client.session import Session
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

from ..client.messages import MAX_PARTS, V1, OffsetTable, bad_offset_table, too_large
from ..net.frames import (
    BINARY,
    ClientFrameParser,
    ControlFrame,
    FrameError,
    FrameHeader,
    PayloadChunk,
    apply_mask,
    encode_frame,
    first_payload,
)
from ..net.leg import Rejection

MAX_HEADER = 64 * 1024  # bytes of a message that are buffered, to answer it if it is refused
MAX_HELD = 8 * (MAX_PARTS + 1) + MAX_HEADER  # bytes that are held back until the table is there


async def _never_busy() -> bool:
    return False


class MessageFilter:
    """Passes on a browser's bytes, except for messages that must not reach a gateway.

    There is one filter for each connection; the relay feeds it every byte from the browser. A
    message may have ``max_size`` bytes; ``refused`` is called with a sentence for a larger one. The
    answer to it looks as if from the kernel: ``latest_from_kernel`` returns the kernel's last frame
    and ``is_busy`` its state.
    """

    def __init__(
        self,
        subprotocol: str | None,
        max_size: int,
        refused: Callable[[str], None] = lambda sentence: None,
        latest_from_kernel: Callable[[], bytes] = lambda: b"",
        is_busy: Callable[[], Awaitable[bool]] = _never_busy,
    ) -> None:
        self.v1 = subprotocol == V1
        self.max_size = max_size
        self.refused = refused
        self._latest_from_kernel, self._is_busy = latest_from_kernel, is_busy
        self.frames = ClientFrameParser()
        self.between_frames = True  # whether the bytes passed on end with a whole frame
        self.messages = 0  # whole ones so far
        self._new_message()

    @property
    def between_messages(self) -> bool:
        """Whether the bytes fed end with a whole message."""
        return self._new and self.frames.between_frames

    @property
    def frames_seen(self) -> int:
        """The number of frames from the browser."""
        return self.frames.count

    def _new_message(self) -> None:
        self._new = True  # whether no byte of it has come
        self._table: OffsetTable | None = None  # None for text, which has none
        self._size = 0  # bytes of all its frames so far
        self._last = False  # whether its last frame has begun
        self._mask = b""
        self._beginning = bytearray()  # table and header, unmasked
        self._held = bytearray()  # bytes held back until the table is complete
        self._begun = False  # whether a part of it was passed on
        self._refused = False

    def feed(self, data: bytes) -> Iterator[bytes | ControlFrame | Rejection]:
        """Take bytes; yield bytes to pass on, control frames, and rejected messages.

        Raises FrameError for bytes that no browser sends; the connection has to end then.
        """
        for item in self.frames.feed(data):
            if isinstance(item, ControlFrame):
                yield item
            elif isinstance(item, FrameHeader):
                self._begin(item)
                yield from self._pass(item.raw, frame_ends=False)
            else:
                self._read_beginning(item)
                yield from self._pass(item.raw, frame_ends=item.is_last)
                if item.is_last and self._last:
                    yield from self._end()

    def _begin(self, head: FrameHeader) -> None:
        self._new = False
        if head.opcode == BINARY:
            self._table = OffsetTable(self.v1)
        self._mask = head.mask
        self._size += head.length
        self._refused = self._refused or self._size > self.max_size
        self._last = head.fin
        self._check_end()

    def _read_beginning(self, part: PayloadChunk) -> None:
        """Unmask the table and the header of a binary message; nothing of a text message."""
        if self._table is None or self._beginning_is_complete:
            return
        self._beginning += apply_mask(part.raw, self._mask, part.offset)
        if self._table.offsets is None and self._table.read(self._beginning):
            self._check_end()

    @property
    def _beginning_is_complete(self) -> bool:
        offsets = self._table.offsets if self._table is not None else None
        return offsets is not None and len(self._beginning) >= min(
            offsets[min(2, len(offsets) - 1)], MAX_HEADER
        )

    def _check_end(self) -> None:
        """Refuse a bad table once the message's size is known, before its end is passed on."""
        if self._last and self._table is not None and self._table.offsets is not None:
            self._table.check_end(self._size)

    def _pass(self, raw: bytes, frame_ends: bool) -> Iterator[bytes]:
        if self._refused:
            self._held.clear()
        elif self._table is not None and self._table.offsets is None:
            self._held += raw
            if len(self._held) > MAX_HELD:
                raise bad_offset_table("in too many frames")
        else:
            raw, self._held = bytes(self._held) + raw, bytearray()
            self._begun = True
            self.between_frames = frame_ends
            if raw:
                yield raw

    def _end(self) -> Iterator[Rejection]:
        if self._refused:
            text = too_large(self._size, self.max_size)
            self.refused(text)
            channel, header = self._channel_and_header()

            async def frames() -> list[bytes]:
                session = session_of(first_payload(self._latest_from_kernel()))
                return error_frames(channel, header, text, session, await self._is_busy())

            yield Rejection(frames, text, self._begun)
        elif self._table is not None:
            self._table.check_end(self._size)
        self.messages += 1
        self._new_message()

    def _channel_and_header(self) -> tuple[str, dict[str, Any]]:
        """The channel and the header of a message, as far as they can be read."""
        offsets = self._table.offsets if self._table is not None else None
        if self.v1 and offsets is not None and len(offsets) > 2:
            try:
                channel = self._beginning[offsets[0] : offsets[1]].decode()
                header = json.loads(self._beginning[offsets[1] : offsets[2]])
            except ValueError:
                pass  # it is refused without an answer in a cell
            else:
                return channel, header if isinstance(header, dict) else {}
        return "", {}


def session_of(message: bytes) -> str:
    """The session of the kernel that sent a message, which may be cut off; empty if unreadable."""
    table = OffsetTable(v1=True)
    try:
        if table.read(message) and table.offsets is not None:
            session = json.loads(message[slice(*table.offsets[1:3])]).get("session")
            return session if isinstance(session, str) else ""
    except (FrameError, ValueError, AttributeError, RecursionError, TypeError):
        pass  # the older protocol, or a strange kernel
    return ""


def error_frames(
    channel: str, header: dict[str, Any], text: str, kernel_session: str = "", busy: bool = False
) -> list[bytes]:
    """Frames for the browser that answer a message as a kernel would, with an error.

    The cell shows ``text`` and ends, instead of waiting for ever. There are no frames for a message
    without a type. JupyterLab takes a message of another session for a restart of the kernel, and
    each status for that of the kernel: so the answer has the kernel's session, and after the end
    of the cell a ``busy`` kernel is shown as busy again.
    """
    msg_type = str(header.get("msg_type", ""))
    if not msg_type or "msg_id" not in header:
        return []
    session = Session(session=kernel_session) if kernel_session else Session()
    error = {"ename": "MessageTooLarge", "evalue": text, "traceback": [text]}

    def encoded(channel: str, kind: str, content: dict[str, Any], is_reply: bool = True) -> bytes:
        message = session.msg(kind, content, parent=header if is_reply else None)
        return encode_frame(BINARY, serialize_msg_to_ws_v1(message, channel, session.pack))

    frames = [encoded("iopub", "status", {"execution_state": "busy"})]
    if msg_type == "execute_request":
        frames.append(encoded("iopub", "error", error))
    if msg_type.endswith("_request"):
        reply = msg_type.removesuffix("request") + "reply"
        frames.append(
            encoded(channel, reply, {"status": "error", "execution_count": None, **error})
        )
    frames.append(encoded("iopub", "status", {"execution_state": "idle"}))
    if busy:
        frames.append(encoded("iopub", "status", {"execution_state": "busy"}, is_reply=False))
    return frames
