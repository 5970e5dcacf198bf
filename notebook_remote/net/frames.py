"""WebSocket frames (RFC 6455, section 5): finds their boundaries, and encodes them. Pure logic.

The two directions have a reader each. A gateway sends most of the volume, unmasked:
``ServerFrameScanner`` is fast, and looks at two bytes of most frames. A browser sends little,
masked: ``ClientFrameParser`` is strict. ``MessageAssembler`` is for our own clients, which need
whole messages.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RESERVED_BITS, OPCODE, MASKED = 0x80, 0x70, 0x0F, 0x80
UNFRAGMENTED = (FIN | BINARY, FIN | TEXT)  # first bytes of messages in one frame
MIN_REPEATS = 8  # frames with equal headers in a row, after which more are expected
MAX_HEADER_SIZE = 14  # bytes: two, a length of eight, and a mask of four
MAX_CONTROL_PAYLOAD = 125  # bytes
MAX_REASON_SIZE = 120  # bytes of the reason in a close frame; RFC 6455 allows 123
# Close codes (RFC 6455, section 7.4.1, and IANA's WebSocket Close Code Number Registry).
NORMAL, GOING_AWAY, PROTOCOL_ERROR, BAD_DATA, TOO_BIG = 1000, 1001, 1002, 1007, 1009
RESTARTED, BAD_GATEWAY = 1012, 1014


class FrameError(Exception):
    """The other end violates the protocol; ``code`` is for the close frame."""

    def __init__(self, reason: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


@dataclass(frozen=True)
class ControlFrame:
    """A control frame: its unmasked payload, and ``raw``, all of its bytes as received."""

    opcode: int
    payload: bytes
    raw: bytes

    @property
    def close_code(self) -> int:
        """The code of a close frame; 1005 if it has none."""
        return int.from_bytes(self.payload[:2], "big") if len(self.payload) >= 2 else 1005


@dataclass(frozen=True)
class FrameHeader:
    """The header of a data frame."""

    opcode: int
    fin: bool
    length: int  # bytes of payload
    mask: bytes
    raw: bytes


@dataclass(frozen=True)
class PayloadChunk:
    """A part of a data frame's payload, still masked; ``offset`` is its place in the payload."""

    raw: bytes
    offset: int
    is_last: bool  # whether the frame ends with it


def apply_mask(payload: bytes, mask: bytes, offset: int = 0) -> bytes:
    """Mask or unmask a part of a payload that begins at ``offset`` in its frame."""
    size = len(payload)
    rotation = offset % 4
    key = (mask[rotation:] + mask[:rotation]) * (size // 4 + 1)
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key[:size], "big")).to_bytes(
        size, "big"
    )


def encode_frame(opcode: int, payload: bytes, to_gateway: bool = False) -> bytes:
    """A whole frame; those to a gateway are masked, since we are its client."""
    size = len(payload)
    mask_bit = MASKED if to_gateway else 0
    if size < 126:
        header = bytes((FIN | opcode, mask_bit | size))
    elif size < 1 << 16:
        header = bytes((FIN | opcode, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        header = bytes((FIN | opcode, mask_bit | 127)) + size.to_bytes(8, "big")
    if not to_gateway:
        return header + payload
    mask = os.urandom(4)
    return header + mask + apply_mask(payload, mask)


def encode_close_frame(code: int, reason: str) -> bytes:
    """A close frame for a browser; a long reason is cut."""
    text = reason.encode()[:MAX_REASON_SIZE].decode(errors="ignore").encode()
    return encode_frame(CLOSE, code.to_bytes(2, "big") + text)


def first_payload(data: bytes) -> bytes:
    """The payload, maybe incomplete, of the frame with which ``data`` from a gateway begins."""
    parsed = _parse_header(data, 0)
    return b"" if parsed is None else data[parsed[1] : parsed[1] + parsed[0].length]


def _parse_header(data: bytes, position: int) -> tuple[FrameHeader, int] | None:
    """The header at a position and where its payload starts; None if the header is incomplete."""
    size = len(data) - position
    if size < 2:
        return None
    first_byte, second_byte = data[position], data[position + 1]
    length = second_byte & 0x7F
    extended = {126: 2, 127: 8}.get(length, 0)
    mask_size = 4 if second_byte & MASKED else 0
    payload_start = position + 2 + extended + mask_size
    if len(data) < payload_start:
        return None
    if extended:
        length = int.from_bytes(data[position + 2 : position + 2 + extended], "big")
    if length >> 63:
        raise FrameError("a frame of a length that cannot be")
    opcode = first_byte & OPCODE
    if first_byte & RESERVED_BITS or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
        raise FrameError("a frame of a kind that was not agreed on")
    if opcode & 0x8 and (length > MAX_CONTROL_PAYLOAD or not first_byte & FIN):
        raise FrameError("a control frame that is too long or in parts")
    raw = data[position:payload_start]
    return FrameHeader(
        opcode, bool(first_byte & FIN), length, raw[len(raw) - mask_size :], raw
    ), payload_start


def _count_repeats(data: bytes, position: int, size: int, most: int) -> int:
    """How many frames follow that look like the one of ``size`` bytes that ends at ``position``.

    Either ``most`` of them (fewer if ``data`` ends), or 0: one comparison for all their headers.
    """
    count = max(0, min(most, (len(data) - position) // size))
    end = position + count * size
    for i in range(min(4, size)):
        header = data[position - size + i : position - size + i + 1]
        if data[position + i : end : size] != header * count:
            return 0
    return count


class ServerFrameScanner:
    """Finds frame boundaries, and control frames, in what a gateway sends."""

    def __init__(self) -> None:
        self.count = 0
        self._remaining = 0  # bytes of a frame's payload that are still to come
        self._in_message = False  # whether a message in several frames has begun
        self._incomplete = b""  # the beginning of a frame, not returned yet

    @property
    def between_frames(self) -> bool:
        """Whether the data so far ends with a frame."""
        return self._remaining == 0 and not self._incomplete

    @property
    def between_messages(self) -> bool:
        """Whether what was returned ends with a message, so that another frame may be injected."""
        return self._remaining == 0 and not self._in_message

    def feed(self, data: bytes) -> list[bytes | ControlFrame]:
        """Read data; return what to pass on, control frames on their own. Raises FrameError."""
        if self._incomplete:
            data, self._incomplete = self._incomplete + data, b""
        size = len(data)
        pieces: list[bytes | ControlFrame] = []
        start, position, count = 0, self._remaining, 0
        last = repeats = 0  # the last frame's size, and how many of that size came in a row
        while position + 1 < size:
            # The most frequent headers inline: a burst has hundreds of thousands a second.
            first_byte, length = data[position], data[position + 1]
            if first_byte in UNFRAGMENTED and (
                length < 126 or (length == 126 and position + 4 <= size)
            ):
                if length == 126:
                    length = 2 + (data[position + 2] << 8 | data[position + 3])
                length += 2
                position += length
                count += 1
                if length != last:
                    last, repeats = length, 1
                    continue
                repeats += 1
                if repeats >= MIN_REPEATS:
                    more = _count_repeats(data, position, length, repeats)
                    position += more * length
                    count += more
                    repeats = repeats + more if more else 1
                continue
            parsed = _parse_header(data, position)
            if parsed is None:
                break
            header, payload = parsed
            if header.mask:
                raise FrameError("a masked frame from a server")
            end = payload + header.length
            if header.opcode & 0x8:
                if end > size:
                    break
                pieces += [
                    data[start:position],
                    ControlFrame(header.opcode, data[payload:end], data[position:end]),
                ]
                start = end
            else:
                self._in_message = not header.fin
            position = end
            count += 1
        self.count += count
        self._remaining = max(position - size, 0)
        if position < size:  # an incomplete header or control frame
            self._incomplete = data[position:]
        pieces.append(data[start:position] if start or position < size else data)
        return [piece for piece in pieces if piece]


class MessageAssembler:
    """Assembles whole messages from what a gateway sends; for our own clients."""

    def __init__(self) -> None:
        self._buffer = bytearray()  # incomplete frames
        self._parts: list[bytes] = []  # payloads of a message in several frames
        self._opcode = 0  # of that message

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Read data; yield opcode and payload of each message and control frame.

        Raises FrameError.
        """
        self._buffer += data
        while parsed := _parse_header(bytes(self._buffer[:MAX_HEADER_SIZE]), 0):
            header, payload_start = parsed
            end = payload_start + header.length
            if header.mask:
                raise FrameError("a masked frame from a server")
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[payload_start:end])
            del self._buffer[:end]
            if header.opcode & 0x8:
                yield header.opcode, payload
                continue
            self._opcode = header.opcode or self._opcode
            if payload:
                self._parts.append(payload)
            if header.fin:
                yield self._opcode, b"".join(self._parts)
                self._parts.clear()


class ClientFrameParser:
    """Parses the frames that a browser sends, and enforces the protocol."""

    def __init__(self) -> None:
        self.count = 0
        self._in_message = False
        self._current: FrameHeader | None = None  # header of a frame whose payload is incomplete
        self._payload_read = 0  # bytes
        self._incomplete = b""

    @property
    def between_frames(self) -> bool:
        """Whether the data so far ends with a frame."""
        return self._current is None and not self._incomplete

    def feed(self, data: bytes) -> Iterator[FrameHeader | PayloadChunk | ControlFrame]:
        """Read data; yield headers, payloads and control frames in order. Raises FrameError."""
        if self._incomplete:
            data, self._incomplete = self._incomplete + data, b""
        position = 0
        while position < len(data):
            if self._current is None:
                parsed = _parse_header(data, position)
                if parsed is None:
                    break
                header, payload_start = parsed
                self._check(header)
                if header.opcode & 0x8:
                    end = payload_start + header.length
                    if end > len(data):
                        break
                    payload = apply_mask(data[payload_start:end], header.mask)
                    self.count += 1
                    yield ControlFrame(header.opcode, payload, data[position:end])
                    position = end
                    continue
                self.count += 1
                self._in_message = not header.fin
                self._current, self._payload_read = header, 0
                yield header
                position = payload_start
                if header.length:
                    continue
            part = data[position : position + self._current.length - self._payload_read]
            offset = self._payload_read
            position += len(part)
            self._payload_read += len(part)
            is_last = self._payload_read == self._current.length
            if is_last:
                self._current = None
            yield PayloadChunk(part, offset, is_last)
        self._incomplete = data[position:]

    def _check(self, header: FrameHeader) -> None:
        if not header.mask:
            raise FrameError("a frame that is not masked")
        if header.opcode in (TEXT, BINARY) and self._in_message:
            raise FrameError("a new message within another one")
        if header.opcode == CONTINUATION and not self._in_message:
            raise FrameError("the end of a message that did not begin")
