"""Counts a WebSocket's messages in passing, so quickly that counting is not what is measured."""

from __future__ import annotations

CONTROL, CLOSE, PING = 0x8, 0x8, 0x9


class FrameCounter:
    """Counts data frames from a server. Frames that follow each other and are alike cost little.

    Feed it what arrives; it gives the payloads of pings, which want an answer.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._left = 0  # bytes of the last frame that are still to come
        self._held = b""  # the beginning of a frame that cannot be read yet

    @property
    def between_frames(self) -> bool:
        """Whether the last frame is here as a whole."""
        return not self._left and not self._held

    def feed(self, data: memoryview) -> list[bytes]:
        """Count; return the payloads of the pings among the frames."""
        if self._held:
            data, self._held = memoryview(self._held + data.tobytes()), b""
        pings: list[bytes] = []
        size, position = len(data), self._left
        while position < size:
            head, length = _head(data, position)
            control = bool(head) and head[0] & CONTROL
            if not head or (control and position + len(head) + length > size):
                self._held = data[position:].tobytes()
                position = size
            elif control:
                begin = position + len(head)
                position = begin + length
                if head[0] & 0x0F == CLOSE:
                    raise ConnectionError("closed")
                if head[0] & 0x0F == PING:
                    pings.append(data[begin:position].tobytes())
            else:
                alike = _alike(data, position, head, len(head) + length)
                self.frames += alike
                position += alike * (len(head) + length)
        self._left = position - size
        return pings


def _head(data: memoryview, position: int) -> tuple[bytes, int]:
    """The head of the frame at a position, empty if not all of it is there; the payload's size."""
    head = data[position : position + 10].tobytes()
    if len(head) < 2:
        return b"", 0
    extended = {126: 2, 127: 8}.get(head[1], 0)
    if len(head) < 2 + extended:
        return b"", 0
    head = head[: 2 + extended]
    return head, int.from_bytes(head[2:], "big") if extended else head[1]


def _alike(data: memoryview, position: int, head: bytes, size: int) -> int:
    """How many frames of ``size`` bytes with this head begin here: all that are here, or one."""
    count = (len(data) - position) // size
    if count > 1:
        end = position + count * size
        columns = (data[position + i : end : size].tobytes() for i in range(len(head)))
        if all(column == head[i : i + 1] * count for i, column in enumerate(columns)):
            return count
    return 1
