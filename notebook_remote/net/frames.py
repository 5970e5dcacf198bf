"""The frames of a WebSocket (RFC 6455, section 5), found in passing without opening them.

Pure logic: bytes in, bytes out. Two readers, because the two directions are not alike. What comes
from the gateway is most of the volume and not masked: its reader looks at two bytes of a frame.
What comes from the browser is a trickle and masked: its reader is strict.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RESERVED, OPCODE, MASKED = 0x80, 0x70, 0x0F, 0x80
WHOLE = (FIN | BINARY, FIN | TEXT)  # heads of messages in one frame
RUN = 8  # frames alike in a row, after which more of them are expected
LONGEST_HEAD = 14  # bytes
CONTROL_LIMIT = 125  # bytes of payload in a control frame
LONGEST_REASON = 120  # bytes of a reason in a close frame; 123 fit
# Close codes (RFC 6455, section 7.4.1, and IANA's registry of WebSocket close codes).
NORMAL, GOING_AWAY, PROTOCOL_ERROR, BAD_DATA, TOO_BIG = 1000, 1001, 1002, 1007, 1009
RESTARTED, BAD_GATEWAY = 1012, 1014


class FrameError(Exception):
    """What came is not a WebSocket's frames, or not a message that may pass."""

    def __init__(self, reason: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


@dataclass(frozen=True)
class ControlFrame:
    """A control frame: what it says, and its bytes as they came."""

    opcode: int
    payload: bytes
    raw: bytes

    @property
    def close_code(self) -> int:
        """The code of a close frame; 1005 stands for none."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else 1005


@dataclass(frozen=True)
class FrameHeader:
    """The head of a data frame."""

    opcode: int
    fin: bool
    length: int  # bytes of payload
    mask: bytes
    raw: bytes


@dataclass(frozen=True)
class PayloadChunk:
    """A part of a data frame's payload, as it came; ``offset`` is where in the frame it begins."""

    raw: bytes
    offset: int
    ends: bool  # whether it is the frame's last part


def masked(payload: bytes, mask: bytes, offset: int = 0) -> bytes:
    """Mask or unmask; ``offset`` is the payload's place in its frame."""
    size = len(payload)
    turn = offset % 4
    key = (mask[turn:] + mask[:turn]) * (size // 4 + 1)
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key[:size], "big")).to_bytes(
        size, "big"
    )


def frame(opcode: int, payload: bytes, to_gateway: bool = False) -> bytes:
    """A whole frame; towards the gateway we are a client, whose frames are masked."""
    size = len(payload)
    mask_bit = MASKED if to_gateway else 0
    if size < 126:
        head = bytes((FIN | opcode, mask_bit | size))
    elif size < 1 << 16:
        head = bytes((FIN | opcode, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((FIN | opcode, mask_bit | 127)) + size.to_bytes(8, "big")
    if not to_gateway:
        return head + payload
    mask = os.urandom(4)
    return head + mask + masked(payload, mask)


def encode_close_frame(code: int, reason: str) -> bytes:
    """A close frame for the browser."""
    text = reason.encode()[:LONGEST_REASON].decode(errors="ignore").encode()
    return frame(CLOSE, code.to_bytes(2, "big") + text)


def first_payload(data: bytes) -> bytes:
    """The payload of the frame that ``data`` from a gateway begins with, as far as it is there."""
    found = _head(data, 0)
    return b"" if found is None else data[found[1] : found[1] + found[0].length]


def _head(data: bytes, position: int) -> tuple[FrameHeader, int] | None:
    """The head at a position and where the payload begins, or None if not all of it is there."""
    size = len(data) - position
    if size < 2:
        return None
    first, second = data[position], data[position + 1]
    length = second & 0x7F
    extended = {126: 2, 127: 8}.get(length, 0)
    mask_size = 4 if second & MASKED else 0
    begin = position + 2 + extended + mask_size
    if len(data) < begin:
        return None
    if extended:
        length = int.from_bytes(data[position + 2 : position + 2 + extended], "big")
    if length >> 63:
        raise FrameError("a frame of a length that cannot be")
    opcode = first & OPCODE
    if first & RESERVED or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        raise FrameError("a frame of a kind that was not agreed on")
    if opcode & 0x8 and (length > CONTROL_LIMIT or not first & FIN):
        raise FrameError("a control frame that is too long or in parts")
    raw = data[position:begin]
    return FrameHeader(opcode, bool(first & FIN), length, raw[len(raw) - mask_size :], raw), begin


def _alike(data: bytes, position: int, size: int, most: int) -> int:
    """How many frames with the head of the one of ``size`` bytes that ends here follow it.

    All of ``most`` (or of those that are here), or 0: their heads are compared all at once.
    """
    count = max(0, min(most, (len(data) - position) // size))
    end = position + count * size
    for i in range(min(4, size)):
        head = data[position - size + i : position - size + i + 1]
        if data[position + i : end : size] != head * count:
            return 0
    return count


class ServerFrameScanner:
    """Finds frame boundaries in what a gateway sends."""

    def __init__(self) -> None:
        self.count = 0
        self._left = 0  # bytes of a frame's payload that are still to come
        self._in_message = False  # whether a message in several frames has begun
        self._held = b""  # the beginning of a frame that is not handed out yet

    @property
    def between_frames(self) -> bool:
        """Whether what was fed ends with a frame."""
        return self._left == 0 and not self._held

    @property
    def between_messages(self) -> bool:
        """Whether what was handed out ends with a message: another message may be put in."""
        return self._left == 0 and not self._in_message

    def feed(self, data: bytes) -> list[bytes | ControlFrame]:
        """Take what came; return what to pass on, with control frames apart. Raises FrameError."""
        if self._held:
            data, self._held = self._held + data, b""
        size = len(data)
        pieces: list[bytes | ControlFrame] = []
        begin, position, count = 0, self._left, 0
        last = alike = 0  # the last frame's size, and how many of that size came in a row
        while position + 1 < size:
            # The most frequent heads by hand: a burst has hundreds of thousands a second.
            first, length = data[position], data[position + 1]
            if first in WHOLE and (length < 126 or (length == 126 and position + 4 <= size)):
                if length == 126:
                    length = 2 + (data[position + 2] << 8 | data[position + 3])
                length += 2
                position += length
                count += 1
                if length != last:
                    last, alike = length, 1
                    continue
                alike += 1
                if alike >= RUN:
                    more = _alike(data, position, length, alike)
                    position += more * length
                    count += more
                    alike = alike + more if more else 1
                continue
            found = _head(data, position)
            if found is None:
                break
            head, payload = found
            if head.mask:
                raise FrameError("a masked frame from a server")
            end = payload + head.length
            if head.opcode & 0x8:
                if end > size:
                    break
                pieces += [
                    data[begin:position],
                    ControlFrame(head.opcode, data[payload:end], data[position:end]),
                ]
                begin = end
            else:
                self._in_message = not head.fin
            position = end
            count += 1
        self.count += count
        self._left = max(position - size, 0)
        if position < size:  # the beginning of a head, or of a control frame
            self._held = data[position:]
        pieces.append(data[begin:position] if begin or position < size else data)
        return [piece for piece in pieces if piece]


class MessageAssembler:
    """Puts together the messages that a gateway sends, of any size; for our own clients."""

    def __init__(self) -> None:
        self._buffer = bytearray()  # the frames that are not complete
        self._parts: list[bytes] = []  # of a message in several frames
        self._opcode = 0  # of that message

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take what came; yield opcode and payload of messages and control frames.

        Raises FrameError.
        """
        self._buffer += data
        while found := _head(bytes(self._buffer[:LONGEST_HEAD]), 0):
            head, begin = found
            end = begin + head.length
            if head.mask:
                raise FrameError("a masked frame from a server")
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[begin:end])
            del self._buffer[:end]
            if head.opcode & 0x8:
                yield head.opcode, payload
                continue
            self._opcode = head.opcode or self._opcode
            if payload:
                self._parts.append(payload)
            if head.fin:
                yield self._opcode, b"".join(self._parts)
                self._parts.clear()


class ClientFrameParser:
    """Reads the frames that a browser sends, strictly."""

    def __init__(self) -> None:
        self.count = 0
        self._in_message = False
        self._head: FrameHeader | None = None  # of the frame that is passing
        self._passed = 0  # bytes of its payload
        self._held = b""

    @property
    def between_frames(self) -> bool:
        """Whether what was fed ends with a frame."""
        return self._head is None and not self._held

    def feed(self, data: bytes) -> Iterator[FrameHeader | PayloadChunk | ControlFrame]:
        """Take what came; yield what it holds, in order. Raises FrameError."""
        if self._held:
            data, self._held = self._held + data, b""
        position = 0
        while position < len(data):
            if self._head is None:
                found = _head(data, position)
                if found is None:
                    break
                head, begin = found
                self._check(head)
                if head.opcode & 0x8:
                    end = begin + head.length
                    if end > len(data):
                        break
                    payload = masked(data[begin:end], head.mask)
                    self.count += 1
                    yield ControlFrame(head.opcode, payload, data[position:end])
                    position = end
                    continue
                self.count += 1
                self._in_message = not head.fin
                self._head, self._passed = head, 0
                yield head
                position = begin
                if head.length:
                    continue
            part = data[position : position + self._head.length - self._passed]
            offset = self._passed
            position += len(part)
            self._passed += len(part)
            ends = self._passed == self._head.length
            if ends:
                self._head = None
            yield PayloadChunk(part, offset, ends)
        self._held = data[position:]

    def _check(self, head: FrameHeader) -> None:
        if not head.mask:
            raise FrameError("a frame that is not masked")
        if head.opcode in (TEXT, BINARY) and self._in_message:
            raise FrameError("a new message within another one")
        if head.opcode == CONTINUATION and not self._in_message:
            raise FrameError("the end of a message that did not begin")
