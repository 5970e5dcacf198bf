"""Relays a WebSocket between a browser and a gateway. It knows nothing of Jupyter.

After the handshake both legs are byte streams, which the relay copies unchanged: any frame size,
text or binary, either subprotocol. It tracks where frames end, so that it can

- inject pings on both legs, and so detect a dead peer even where an intermediary keeps the TCP
  connection open;
- distinguish a stalled gateway from a dead connection. Closing a connection loses the
  messages in transit, so a silent one is closed only once the gateway answers HTTP on a new
  connection. Until then the browser's messages are buffered, and sent when the gateway is back, on
  this connection or on the browser's next one;
- replace the code of a gateway's normal close frame, after which a page would not connect again;
- count frames.

Every write is awaited: a slow reader slows the sender down, and buffers do not grow. What a browser
sends goes through a filter first, which may reject a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tornado.iostream import IOStream, StreamClosedError

from . import tcp
from .coalescing import COALESCE_DELAY, ReadCoalescer
from .frames import (
    BAD_GATEWAY,
    CLOSE,
    GOING_AWAY,
    NORMAL,
    PONG,
    RESTARTED,
    TOO_BIG,
    ControlFrame,
    FrameError,
    ServerFrameScanner,
    encode_close_frame,
)
from .leg import (
    BUFFER_SIZE,
    BUSY_FACTOR,
    LARGE_BACKLOG,
    LINK_TIMEOUT,
    PINGS_PER_TIMEOUT,
    CloseReason,
    Filter,
    Leg,
    Rejection,
    Traffic,
)

MAX_BUFFERED = 1024 * 1024  # bytes of the browser's messages that wait for a silent gateway


class _CloseRelay(Exception):
    """Ends the relay, with a close frame for the page."""

    def __init__(self, reason: CloseReason, code: int) -> None:
        super().__init__(reason.text)
        self.reason, self.code = reason, code


async def _always_true() -> bool:
    return True


class Relay:
    """One connection between a page and a gateway.

    ``link_timeout`` is in seconds, ``buffer_size`` in bytes per direction. ``report`` is called
    every few seconds, after counts and round trips were updated. ``gateway_answers`` tells whether
    the gateway answers on another connection, and is called while this one is silent.
    """

    def __init__(
        self,
        browser: IOStream,
        gateway: IOStream,
        message_filter: Filter,
        link_timeout: float = LINK_TIMEOUT,
        buffer_size: int = BUFFER_SIZE,
        report: Callable[[], None] = lambda: None,
        gateway_answers: Callable[[], Awaitable[bool]] = _always_true,
    ) -> None:
        self.browser = Leg(browser, is_gateway=False)
        self.gateway = Leg(gateway, is_gateway=True)
        self.from_browser = Traffic()
        self.from_gateway = Traffic()
        self.close_reason: CloseReason | None = None
        self.latest_from_gateway = b""  # the last data that begins with a message
        self._filter = message_filter
        self._frames = ServerFrameScanner()
        self._coalescer = ReadCoalescer()
        self._timeout = link_timeout
        self._buffer_size = buffer_size
        self._report = report
        self._browser_closing = False
        self.silence: float | None = None  # seconds, while the gateway is silent for too long
        self._gateway_answers = gateway_answers
        self._gateway_check: asyncio.Task[None] | None = None
        self._gateway_answered_at: float | None = None  # on another connection, in this silence
        self._buffering = False  # whether the browser's messages are buffered
        self._buffered: list[bytes] = []
        self._buffered_size = 0  # bytes
        self._complete_chunks = 0  # how many of these chunks belong to complete messages
        self._message_count = 0  # of the browser's complete messages
        self._gateway_responsive = asyncio.Event()
        self._gateway_responsive.set()

    @property
    def unsent(self) -> bytes:
        """The browser's messages that were not sent to the gateway; read after ``run``."""
        return b"".join(self._buffered[: self._complete_chunks])

    async def run(self, answer: bytes = b"", unsent: bytes = b"") -> CloseReason:
        """Relay both ways until one leg closes or dies, then close the other.

        ``answer`` is the response of the handshake, for the browser; ``unsent`` are messages that
        an earlier connection of the same page could not send to the gateway.
        """
        jobs: dict[str, Coroutine[Any, Any, None]] = {
            "relay from browser": self._read_browser(),
            "relay from gateway": self._read_gateway(),
            "watch links": self._watch_legs(),
        }
        tcp.tune(self.browser.stream.socket, self._timeout)
        # No keepalive for the gateway: it would close a connection that may recover.
        tcp.tune(self.gateway.stream.socket, None)
        with contextlib.suppress(StreamClosedError):  # the read below raises it, too
            self.browser.stream.write(answer)
            if unsent:
                self.gateway.stream.write(unsent)
        tasks = [asyncio.create_task(job, name=name) for name, job in jobs.items()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._on_end(task.exception())
        finally:
            self.close()
            if self._gateway_check is not None:
                tasks.append(self._gateway_check)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self.close()

    def close(self, reason: CloseReason | None = None, code: int = RESTARTED) -> CloseReason:
        """Close both legs; the page then connects again, or learns that its kernel is gone."""
        if self.close_reason is None:
            self.close_reason = reason or CloseReason(
                "server", "closed", "closed by the notebook server"
            )
            self._send_close_frame(code, self.close_reason.text)
        self.browser.stream.close()
        self.gateway.stream.close()
        return self.close_reason

    def _send_close_frame(self, code: int, text: str) -> None:
        may_send = self._frames.between_messages and not self.browser.mid_message
        if self._browser_closing or self.browser.stream.closed() or not may_send:
            return
        with contextlib.suppress(StreamClosedError):
            # Not awaited: a small frame is sent at once, unless the page is not reading at all.
            self.browser.stream.write(encode_close_frame(code, text))

    def _on_end(self, error: BaseException | None) -> None:
        if isinstance(error, _CloseRelay):
            self.close(error.reason, error.code)
        elif isinstance(error, StreamClosedError):
            gateway_gone = self.gateway.stream.closed() and not self.browser.stream.closed()
            if self._browser_closing or not gateway_gone:
                self.close(CloseReason("browser", "left", "closed by the browser"), NORMAL)
            else:
                why = f" ({error.real_error})" if error.real_error else ""
                text = f"the gateway closed the connection{why}"
                self.close(CloseReason("gateway", "closed", text), BAD_GATEWAY)
        elif error is not None:
            raise error

    # -- the two directions ---------------------------------------------------------------------

    async def _read_browser(self) -> None:
        browser, gateway = self.browser, self.gateway
        while True:
            data = await browser.read(self._buffer_size)
            browser.note_received(len(data))
            self._coalescer.refill()
            self.from_browser.bytes += len(data)
            gateway.mid_message = True
            if self.silence is not None and self._filter.between_messages:
                self._buffering = True
            try:
                for piece in self._filter.feed(data):
                    self._note_whole_messages()
                    if isinstance(piece, bytes):
                        await self._to_gateway(piece)
                    elif isinstance(piece, ControlFrame):
                        await self._control_from_browser(piece)
                    else:
                        await self._send_rejection(piece)
            except FrameError as error:
                text = f"the browser sent {error.reason}"
                raise _CloseRelay(CloseReason("browser", "bad_frames", text), error.code) from error
            self.from_browser.frames = self._filter.frames_seen
            gateway.mid_message = False
            self._note_whole_messages()
            if self._filter.between_frames:
                gateway.flush()

    def _note_whole_messages(self) -> None:
        if self._filter.messages != self._message_count:
            self._message_count = self._filter.messages
            self._complete_chunks = len(self._buffered)

    async def _to_gateway(self, data: bytes) -> None:
        if not self._buffering:
            await self.gateway.write(data)
            return
        self._buffered.append(data)
        self._buffered_size += len(data)
        if self._buffered_size > MAX_BUFFERED:
            await self._gateway_responsive.wait()  # backpressure for the browser

    async def _control_from_browser(self, control: ControlFrame) -> None:
        if control.opcode == PONG and self.browser.is_pong(control.payload):
            return
        if control.opcode == CLOSE:
            self._browser_closing = True
        await self.gateway.write(control.raw)

    async def _send_rejection(self, rejection: Rejection) -> None:
        self.browser.inject(await rejection.frames(), self._frames.between_messages)
        if rejection.closes_connection:
            await self.browser.wait_flushed()
            raise _CloseRelay(CloseReason("browser", "too_large", rejection.text), TOO_BIG)

    async def _read_gateway(self) -> None:
        browser, gateway, frames = self.browser, self.gateway, self._frames
        acknowledge = tcp.quick_ack(gateway.stream.socket)
        while True:
            data = await gateway.read(self._buffer_size)
            acknowledge()
            gateway.note_received(len(data))
            self.from_gateway.bytes += len(data)
            if frames.between_frames and frames.between_messages:
                self.latest_from_gateway = data
            try:
                pieces = frames.feed(data)
            except FrameError as error:
                text = f"the gateway sent {error.reason}"
                raise _CloseRelay(
                    CloseReason("gateway", "bad_frames", text), BAD_GATEWAY
                ) from error
            browser.mid_message = True
            for piece in pieces:
                if isinstance(piece, bytes):
                    await browser.write(piece)
                else:
                    await self._control_from_gateway(piece)
            self.from_gateway.frames = frames.count
            browser.mid_message = False
            if frames.between_messages:
                browser.flush()
            if self.silence is not None and gateway.ping_sent_at is None:
                self._end_silence()
            if self._coalescer.should_wait(len(data)):
                await asyncio.sleep(COALESCE_DELAY)

    async def _control_from_gateway(self, control: ControlFrame) -> None:
        if control.opcode == PONG and self.gateway.is_pong(control.payload):
            return
        if control.opcode == CLOSE and not self._browser_closing:
            self.browser.mid_message = False
            code = control.close_code
            kind = "too_large" if code == TOO_BIG else "closed"
            text = f"the gateway closed the connection (code {code})"
            # After 1000 and 1001 JupyterLab does not connect again.
            shown = BAD_GATEWAY if code in (NORMAL, GOING_AWAY, 1005) else code
            raise _CloseRelay(CloseReason("gateway", kind, text), shown)
        await self.browser.write(control.raw)

    # -- silent connections ----------------------------------------------------------------------

    async def _watch_legs(self) -> None:
        interval = self._timeout / PINGS_PER_TIMEOUT
        while True:
            await asyncio.sleep(interval)
            silence = self._silence_of(self.browser, self.gateway)
            if silence is not None:
                raise _silent_end("browser", silence)
            self._check_gateway(interval)
            self._report()
            self.gateway.ping(self._filter.between_frames)
            self.browser.ping(self._frames.between_messages)

    def _silence_of(self, leg: Leg, other: Leg) -> float | None:
        """Seconds for which a peer has not answered, if that is too long; else None."""
        if other.write_started_at is not None:
            leg.forget_pings()  # the relay does not read from it meanwhile
        since = leg.ping_sent_at
        if leg is self.gateway and leg.write_started_at is not None:
            since = leg.write_started_at  # a gateway always reads; a page may be busy
        silent = 0.0 if since is None else time.monotonic() - since
        unacknowledged = tcp.unacknowledged_for(leg.stream.socket)
        # The first ping was sent up to one interval after the last sign of life.
        limit = self._timeout * (1 - 1 / PINGS_PER_TIMEOUT)
        timeout = limit * (BUSY_FACTOR if leg.bytes_before_ping > LARGE_BACKLOG else 1)
        return max(silent, unacknowledged) if silent >= timeout or unacknowledged >= limit else None

    def _check_gateway(self, interval: float) -> None:
        """Close a silent gateway's connection if the gateway answers on another one."""
        silence = self._silence_of(self.gateway, self.browser)
        if silence is None:
            self._end_silence()
            return
        self.silence = silence
        self._gateway_responsive.clear()
        # If this connection lived, its pong would have come by now: one interval is enough.
        if (
            self._gateway_answered_at is not None
            and time.monotonic() - self._gateway_answered_at >= interval
        ):
            raise _silent_end("gateway", silence)
        if self._gateway_check is None and self._gateway_answered_at is None:
            self._gateway_check = asyncio.create_task(
                self._check_whether_gateway_answers(), name="ask a silent gateway"
            )

    async def _check_whether_gateway_answers(self) -> None:
        try:
            if await self._gateway_answers():
                self._gateway_answered_at = time.monotonic()
        finally:
            self._gateway_check = None

    def _end_silence(self) -> None:
        """The gateway answers again: send the buffered messages."""
        self.silence = self._gateway_answered_at = None
        self._buffering = False
        for data in self._buffered:  # not awaited, since they are bounded
            self.gateway.stream.write(data)
        self._buffered.clear()
        self._complete_chunks = self._buffered_size = 0
        self._gateway_responsive.set()


def _silent_end(who: str, seconds: float) -> _CloseRelay:
    return _CloseRelay(
        CloseReason(who, "silent", f"the {who} has not answered for {seconds:.0f} s"), BAD_GATEWAY
    )
