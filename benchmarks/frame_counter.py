"""Counts the messages of a WebSocket, so fast that the count does not distort a benchmark."""

from __future__ import annotations

CONTROL, CLOSE, PING = 0x8, 0x8, 0x9


class FrameCounter:
    """Counts data frames from a server; runs of frames with equal headers are counted at once.

    Feed it the bytes from the socket; it returns the payloads of pings, which need a pong.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._remaining = 0  # bytes of the last frame that have not arrived yet
        self._buffer = b""  # the beginning of a frame whose header is incomplete

    @property
    def between_frames(self) -> bool:
        """Whether the last frame has arrived completely."""
        return not self._remaining and not self._buffer

    def feed(self, data: memoryview) -> list[bytes]:
        """Count the frames in ``data``; return the payloads of the pings among them."""
        if self._buffer:
            data, self._buffer = memoryview(self._buffer + data.tobytes()), b""
        pings: list[bytes] = []
        size, position = len(data), self._remaining
        while position < size:
            header, length = _read_header(data, position)
            control = bool(header) and header[0] & CONTROL
            if not header or (control and position + len(header) + length > size):
                self._buffer = data[position:].tobytes()
                position = size
            elif control:
                begin = position + len(header)
                position = begin + length
                if header[0] & 0x0F == CLOSE:
                    raise ConnectionError("closed")
                if header[0] & 0x0F == PING:
                    pings.append(data[begin:position].tobytes())
            else:
                count = _count_equal_frames(data, position, header, len(header) + length)
                self.frames += count
                position += count * (len(header) + length)
        self._remaining = position - size
        return pings


def _read_header(data: memoryview, position: int) -> tuple[bytes, int]:
    """The header of the frame at a position, empty if it is incomplete; the payload's size."""
    header = data[position : position + 10].tobytes()
    if len(header) < 2:
        return b"", 0
    extended = {126: 2, 127: 8}.get(header[1], 0)
    if len(header) < 2 + extended:
        return b"", 0
    header = header[: 2 + extended]
    return header, int.from_bytes(header[2:], "big") if extended else header[1]


def _count_equal_frames(data: memoryview, position: int, header: bytes, size: int) -> int:
    """How many frames begin here: all the complete ones if their headers are equal, or one."""
    count = (len(data) - position) // size
    if count > 1:
        end = position + count * size
        columns = (data[position + i : end : size].tobytes() for i in range(len(header)))
        if all(column == header[i : i + 1] * count for i, column in enumerate(columns)):
            return count
    return 1
