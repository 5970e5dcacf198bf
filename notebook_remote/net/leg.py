"""One leg of a relay: the byte stream of a WebSocket, with pings that detect a dead peer."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tornado.iostream import IOStream

from .frames import PING, ControlFrame, encode_frame

LINK_TIMEOUT = 15.0  # seconds until a silent peer counts as dead
BUFFER_SIZE = 64 * 1024  # bytes per read, and so the most that is held per direction
PINGS_PER_TIMEOUT = (
    5  # a peer is dead when the first of them is not answered by the time of the last
)
# Chromium's network process answers pings for a busy page, until about 128 kB wait for the page. A
# peer with a backlog of LARGE_BACKLOG bytes before a ping gets BUSY_FACTOR times the timeout, as
# long as its TCP acknowledges.
LARGE_BACKLOG = 64 * 1024
BUSY_FACTOR = 8


@dataclass(frozen=True)
class Rejection:
    """What the browser gets for a message that is not relayed."""

    frames: Callable[[], Awaitable[list[bytes]]]
    text: str  # a sentence for people
    closes_connection: bool  # because a part of the message was relayed already


class Filter(Protocol):
    """Filters what the browser sends; see ``handlers.message_filter``."""

    between_frames: bool  # whether the relayed data ends with a frame
    messages: int  # number of complete messages

    @property
    def between_messages(self) -> bool:
        """Whether the data so far ends with a message."""

    @property
    def frames_seen(self) -> int:
        """Number of frames from the browser."""

    def feed(self, data: bytes) -> Iterator[bytes | ControlFrame | Rejection]:
        """Yield what to relay, control frames, and rejections. Raises FrameError."""


@dataclass
class Traffic:
    """Counts of what was received in one direction."""

    frames: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class CloseReason:
    """Why a relay ended: ``by`` browser, gateway or server; ``kind`` is for the metrics."""

    by: str
    kind: str  # left | closed | silent | bad_frames | too_large
    text: str


class Leg:
    """The connection to one end, with the state of the peer there."""

    def __init__(self, stream: IOStream, is_gateway: bool) -> None:
        self.stream = stream
        self._is_gateway = is_gateway
        self.round_trip: float | None = None  # seconds, of the last ping that was answered
        self.write_started_at: float | None = (
            None  # when a write began that waits for the peer to read
        )
        self.mid_message = False  # whether the relay is writing a chunk, piece by piece
        self.ping_sent_at: float | None = None  # of the first ping without an answer
        self.bytes_before_ping = 0  # sent before that ping, and maybe not read by the peer
        self._sent_since_received = 0  # bytes
        self._received_since_ping = 0  # bytes, which may come before the answer
        self._pings: dict[bytes, float] = {}
        self._pending: list[bytes] = []  # frames to inject at the next boundary
        self._ping_pending = False
        self._flushed = asyncio.Event()

    def note_received(self, size: int) -> None:
        """Note that ``size`` bytes were received.

        They do not prove that the peer receives our data. But a large amount may delay the answer
        to a ping, so the ping then does not count.
        """
        self._sent_since_received = 0
        self._received_since_ping += size
        if self._received_since_ping > LARGE_BACKLOG:
            self.forget_pings()

    def forget_pings(self) -> None:
        """Expect no answer to the pings so far."""
        self.ping_sent_at = None

    async def read(self, limit: int) -> bytes:
        """Read up to ``limit`` bytes. Raises StreamClosedError."""
        return await self.stream.read_bytes(limit, partial=True)

    async def write(self, data: bytes) -> None:
        """Write, and wait until the data is sent. Raises StreamClosedError."""
        self._sent_since_received += len(data)
        self.write_started_at = time.monotonic()
        await self.stream.write(data)
        self.write_started_at = None

    def inject(self, frames: list[bytes], at_boundary: bool) -> None:
        """Write whole frames between others: now if ``at_boundary``, else with the next ``flush``.

        Not awaited, since they are small and few.
        """
        self._pending += frames
        if not self.mid_message and at_boundary:
            self.flush()

    def ping(self, at_boundary: bool) -> None:
        """Send a ping, now if ``at_boundary``, else with the next ``flush``."""
        if self.write_started_at is None:  # else the peer is not reading
            self._ping_pending = True
            self.inject([], at_boundary)

    def flush(self) -> None:
        """Write pending frames; called at a frame boundary. Raises StreamClosedError."""
        if self._ping_pending:
            self._ping_pending = False
            self._pending.append(self._new_ping())
        for data in self._pending:
            self._sent_since_received += len(data)
            self.stream.write(data)
        self._pending.clear()
        self._flushed.set()

    def _new_ping(self) -> bytes:
        now = time.monotonic()
        if self.ping_sent_at is None:
            self.ping_sent_at, self.bytes_before_ping, self._received_since_ping = (
                now,
                self._sent_since_received,
                0,
            )
        payload = os.urandom(8)
        self._pings[payload] = now
        if len(self._pings) > PINGS_PER_TIMEOUT * BUSY_FACTOR:
            del self._pings[next(iter(self._pings))]
        return encode_frame(PING, payload, to_gateway=self._is_gateway)

    async def wait_flushed(self) -> None:
        """Wait until there are no pending frames."""
        if self._pending:
            self._flushed.clear()
            await self._flushed.wait()

    def is_pong(self, payload: bytes) -> bool:
        """Whether the payload of a pong answers our ping; notes the round trip."""
        sent = self._pings.pop(payload, None)
        if sent is None:
            return False
        self.round_trip = time.monotonic() - sent
        self.forget_pings()
        return True
