"""One leg of a relay: a WebSocket's byte stream, with pings that notice a peer that has gone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tornado.iostream import IOStream

from .frames import PING, ControlFrame, frame

LINK_TIMEOUT = 15.0  # seconds until a peer that has silently gone is noticed
BUFFER_SIZE = 64 * 1024  # bytes read at most at once, and so held at most per direction
TICKS = 5  # pings within the timeout; a link is dead when the first is not answered by the last
# Chromium's network process answers pings for a page that is busy with itself, until about 128 kB
# stand before the page unread. Whoever had this much (bytes) to read before a ping gets so many
# times the timeout, as long as its TCP answers.
MUCH_TO_READ = 64 * 1024
BUSY_FACTOR = 8


@dataclass(frozen=True)
class Rejection:
    """What the browser gets instead of having its message passed on."""

    frames: Callable[[], Awaitable[list[bytes]]]
    text: str  # a sentence about it
    ends: bool  # whether the connection has to end, because a part of the message was passed on


class Filter(Protocol):
    """What the browser's bytes go through; see ``messages.MessageGuard``."""

    between_frames: bool  # whether what it let pass ends with a frame
    messages: int  # how many have ended

    @property
    def between_messages(self) -> bool:
        """Whether what it was given ends with a message."""

    @property
    def frames_seen(self) -> int:
        """Frames that came from the browser."""

    def feed(self, data: bytes) -> Iterator[bytes | ControlFrame | Rejection]:
        """Yield what to pass on, control frames apart, and answers. Raises FrameError."""


@dataclass
class Traffic:
    """What has come in one direction."""

    frames: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class CloseReason:
    """Why a relay ended: ``by`` browser, gateway or server; ``kind`` is for the metrics."""

    by: str
    kind: str  # left | closed | silent | bad_frames | too_large
    text: str


class _End(Exception):
    """Ends the relay with a close frame for the page."""

    def __init__(self, ending: CloseReason, code: int) -> None:
        super().__init__(ending.text)
        self.ending, self.code = ending, code


class Leg:
    """One end: its stream, and what is known of whoever is there."""

    def __init__(self, stream: IOStream, is_gateway: bool) -> None:
        self.stream = stream
        self._is_gateway = is_gateway
        self.round_trip: float | None = None  # seconds, by the last ping that was answered
        self.writing: float | None = None  # since when a write waits for the other end to read
        self.passing = False  # whether a chunk is being written, piece by piece
        self.asked: float | None = None  # when the first ping went out that is not answered
        self.unread = 0  # bytes that went out before that ping, and may stand before it
        self._sent = 0  # bytes that went out since something came
        self._came = 0  # bytes that came since that ping, and may stand before its answer
        self._pings: dict[bytes, float] = {}
        self._waiting: list[bytes] = []  # what is to be put in where a frame ends
        self._wants_ping = False
        self._flushed = asyncio.Event()

    def hear(self, size: int) -> None:
        """Note that so many bytes came from there.

        They alone do not say that it hears us, unless they are so many that a ping's answer may
        well stand behind them.
        """
        self._sent = 0
        self._came += size
        if self._came > MUCH_TO_READ:
            self.forget_pings()

    def forget_pings(self) -> None:
        """Expect no answer to those that went out so far."""
        self.asked = None

    async def read(self, limit: int) -> bytes:
        """What has come from there, ``limit`` bytes at most. Raises StreamClosedError."""
        return await self.stream.read_bytes(limit, partial=True)

    async def write(self, data: bytes) -> None:
        """Write, and wait until it is out. Raises StreamClosedError."""
        self._sent += len(data)
        self.writing = time.monotonic()
        await self.stream.write(data)
        self.writing = None

    def put_in(self, frames: list[bytes], between: bool) -> None:
        """Write whole frames, now if ``between`` others, else when ``flush`` is called there.

        Not awaited: they are small and few.
        """
        self._waiting += frames
        if not self.passing and between:
            self.flush()

    def ping(self, between: bool) -> None:
        """Ask for a sign of life, now or, as above, with ``flush``."""
        if self.writing is None:  # else it would only stand behind what is not read
            self._wants_ping = True
            self.put_in([], between)

    def flush(self) -> None:
        """Write what waits to be put in; called between frames. Raises StreamClosedError."""
        if self._wants_ping:
            self._wants_ping = False
            self._waiting.append(self._new_ping())
        for data in self._waiting:
            self._sent += len(data)
            self.stream.write(data)
        self._waiting.clear()
        self._flushed.set()

    def _new_ping(self) -> bytes:
        now = time.monotonic()
        if self.asked is None:
            self.asked, self.unread, self._came = now, self._sent, 0
        payload = os.urandom(8)
        self._pings[payload] = now
        if len(self._pings) > TICKS * BUSY_FACTOR:
            del self._pings[next(iter(self._pings))]
        return frame(PING, payload, to_gateway=self._is_gateway)

    async def wait_flushed(self) -> None:
        """Wait until nothing waits to be put in."""
        if self._waiting:
            self._flushed.clear()
            await self._flushed.wait()

    def is_pong(self, payload: bytes) -> bool:
        """Whether this answers a ping of ours; notes the round trip."""
        sent = self._pings.pop(payload, None)
        if sent is None:
            return False
        self.round_trip = time.monotonic() - sent
        self.forget_pings()
        return True


async def _yes() -> bool:
    return True
