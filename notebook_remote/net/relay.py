"""Moves a WebSocket's bytes between a browser and a gateway. It knows nothing of Jupyter.

After the handshake the two ends are byte streams that the relay passes on as they are: any frame
size, text or binary, either subprotocol, exactly as sent. It sees where frames end, so that it can

- put pings in between, on both legs, and so notice a peer that has silently gone even where an
  intermediary keeps the TCP connection open;
- tell a gateway that stands still from a connection that is dead: a silent connection is kept until
  the gateway answers in another way while this one stays silent, since what is on its way would be
  lost with it. What the browser sends meanwhile is held, and goes out when the gateway is back, on
  this connection or on the browser's next one;
- keep a gateway's "normal" goodbye from the page, which would not connect again after it;
- count frames.

Every write is awaited, so a slow reader slows the sender down and nothing piles up here. What a
browser sends goes through a guard first, which may keep a message back.
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
    LINK_TIMEOUT,
    MUCH_TO_READ,
    TICKS,
    CloseReason,
    Filter,
    Leg,
    Rejection,
    Traffic,
    _End,
    _yes,
)

HELD_AT_MOST = 1024 * 1024  # bytes of the browser's messages that wait for a silent gateway


class Relay:
    """One connection between a page and a gateway.

    ``link_timeout`` is in seconds, ``buffer_size`` in bytes per direction. ``report`` is called
    every few seconds while the relay runs, with new counts and round trips to be read.
    ``gateway_answers`` asks the gateway in another way, when this connection is silent.
    """

    def __init__(
        self,
        browser: IOStream,
        gateway: IOStream,
        guard: Filter,
        link_timeout: float = LINK_TIMEOUT,
        buffer_size: int = BUFFER_SIZE,
        report: Callable[[], None] = lambda: None,
        gateway_answers: Callable[[], Awaitable[bool]] = _yes,
    ) -> None:
        self.browser = Leg(browser, is_gateway=False)
        self.gateway = Leg(gateway, is_gateway=True)
        self.from_browser = Traffic()
        self.from_gateway = Traffic()
        self.ending: CloseReason | None = None
        self.latest_from_gateway = b""  # what came last that begins with a message
        self._guard = guard
        self._frames = ServerFrameScanner()
        self._pace = ReadCoalescer()
        self._timeout = link_timeout
        self._buffer_size = buffer_size
        self._report = report
        self._page_leaves = False
        self.silence: float | None = None  # seconds, while the gateway is silent for too long
        self._gateway_answers = gateway_answers
        self._asking: asyncio.Task[None] | None = None
        self._answered_at: float | None = None  # when the gateway last did so during a silence
        self._holding = False  # whether the browser's messages are held
        self._held: list[bytes] = []
        self._held_size = 0  # bytes
        self._whole = 0  # how many of them make whole messages
        self._messages = 0  # of the browser, that have ended
        self._speaks = asyncio.Event()
        self._speaks.set()

    @property
    def unsent(self) -> bytes:
        """The browser's messages that were never sent to the gateway; read after the end."""
        return b"".join(self._held[: self._whole])

    async def run(self, answer: bytes = b"", unsent: bytes = b"") -> CloseReason:
        """Pass bytes both ways until one end closes or dies, then close the other.

        ``answer`` is the rest of the handshake, for the browser; ``unsent`` what an earlier
        connection of the same page could not send to the gateway.
        """
        jobs: dict[str, Coroutine[Any, Any, None]] = {
            "relay from browser": self._from_browser(),
            "relay from gateway": self._from_gateway(),
            "watch links": self._watch(),
        }
        tcp.tune(self.browser.stream.socket, self._timeout)
        # No keepalive there: it would give up a connection that may come to life again.
        tcp.tune(self.gateway.stream.socket, None)
        with contextlib.suppress(StreamClosedError):  # the reading below says so
            self.browser.stream.write(answer)
            if unsent:
                self.gateway.stream.write(unsent)
        tasks = [asyncio.create_task(job, name=name) for name, job in jobs.items()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                self._ended(task.exception())
        finally:
            self.close()
            if self._asking is not None:
                tasks.append(self._asking)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self.close()

    def close(self, ending: CloseReason | None = None, code: int = RESTARTED) -> CloseReason:
        """Close both ends; the page then connects again, or learns that its kernel is gone."""
        if self.ending is None:
            self.ending = ending or CloseReason("server", "closed", "closed by the notebook server")
            self._say_goodbye(code, self.ending.text)
        self.browser.stream.close()
        self.gateway.stream.close()
        return self.ending

    def _say_goodbye(self, code: int, text: str) -> None:
        may_put_in = self._frames.between_messages and not self.browser.passing
        if self._page_leaves or self.browser.stream.closed() or not may_put_in:
            return
        with contextlib.suppress(StreamClosedError):
            # Not awaited: a small frame goes out at once, or the page is not reading at all.
            self.browser.stream.write(encode_close_frame(code, text))

    def _ended(self, error: BaseException | None) -> None:
        if isinstance(error, _End):
            self.close(error.ending, error.code)
        elif isinstance(error, StreamClosedError):
            gateway_gone = self.gateway.stream.closed() and not self.browser.stream.closed()
            if self._page_leaves or not gateway_gone:
                self.close(CloseReason("browser", "left", "closed by the browser"), NORMAL)
            else:
                why = f" ({error.real_error})" if error.real_error else ""
                text = f"the gateway closed the connection{why}"
                self.close(CloseReason("gateway", "closed", text), BAD_GATEWAY)
        elif error is not None:
            raise error

    # -- the two directions ---------------------------------------------------------------------

    async def _from_browser(self) -> None:
        page, gateway = self.browser, self.gateway
        while True:
            data = await page.read(self._buffer_size)
            page.hear(len(data))
            self._pace.hurry()
            self.from_browser.bytes += len(data)
            gateway.passing = True
            if self.silence is not None and self._guard.between_messages:
                self._holding = True
            try:
                for piece in self._guard.feed(data):
                    self._note_whole_messages()
                    if isinstance(piece, bytes):
                        await self._to_gateway(piece)
                    elif isinstance(piece, ControlFrame):
                        await self._control_from_browser(piece)
                    else:
                        await self._reply(piece)
            except FrameError as error:
                text = f"the browser sent {error.reason}"
                raise _End(CloseReason("browser", "bad_frames", text), error.code) from error
            self.from_browser.frames = self._guard.frames_seen
            gateway.passing = False
            self._note_whole_messages()
            if self._guard.between_frames:
                gateway.flush()

    def _note_whole_messages(self) -> None:
        if self._guard.messages != self._messages:
            self._messages = self._guard.messages
            self._whole = len(self._held)

    async def _to_gateway(self, data: bytes) -> None:
        if not self._holding:
            await self.gateway.write(data)
            return
        self._held.append(data)
        self._held_size += len(data)
        if self._held_size > HELD_AT_MOST:
            await self._speaks.wait()  # the browser has to wait as well

    async def _control_from_browser(self, control: ControlFrame) -> None:
        if control.opcode == PONG and self.browser.is_pong(control.payload):
            return
        if control.opcode == CLOSE:
            self._page_leaves = True
        await self.gateway.write(control.raw)

    async def _reply(self, answer: Rejection) -> None:
        self.browser.put_in(await answer.frames(), self._frames.between_messages)
        if answer.ends:
            await self.browser.wait_flushed()
            raise _End(CloseReason("browser", "too_large", answer.text), TOO_BIG)

    async def _from_gateway(self) -> None:
        page, gateway, frames = self.browser, self.gateway, self._frames
        acknowledge = tcp.quick_ack(gateway.stream.socket)
        while True:
            data = await gateway.read(self._buffer_size)
            acknowledge()
            gateway.hear(len(data))
            self.from_gateway.bytes += len(data)
            if frames.between_frames and frames.between_messages:
                self.latest_from_gateway = data
            try:
                pieces = frames.feed(data)
            except FrameError as error:
                text = f"the gateway sent {error.reason}"
                raise _End(CloseReason("gateway", "bad_frames", text), BAD_GATEWAY) from error
            page.passing = True
            for piece in pieces:
                if isinstance(piece, bytes):
                    await page.write(piece)
                else:
                    await self._control_from_gateway(piece)
            self.from_gateway.frames = frames.count
            page.passing = False
            if frames.between_messages:
                page.flush()
            if self.silence is not None and gateway.asked is None:
                self._end_silence()
            if self._pace.is_rushed(len(data)):
                await asyncio.sleep(COALESCE_DELAY)

    async def _control_from_gateway(self, control: ControlFrame) -> None:
        if control.opcode == PONG and self.gateway.is_pong(control.payload):
            return
        if control.opcode == CLOSE and not self._page_leaves:
            self.browser.passing = False
            code = control.close_code
            kind = "too_large" if code == TOO_BIG else "closed"
            text = f"the gateway closed the connection (code {code})"
            # After 1000 and 1001 JupyterLab does not connect again.
            shown = BAD_GATEWAY if code in (NORMAL, GOING_AWAY, 1005) else code
            raise _End(CloseReason("gateway", kind, text), shown)
        await self.browser.write(control.raw)

    # -- links that have silently gone ------------------------------------------------------------

    async def _watch(self) -> None:
        tick = self._timeout / TICKS
        while True:
            await asyncio.sleep(tick)
            silence = self._silence_of(self.browser, self.gateway)
            if silence is not None:
                raise _silent("browser", silence)
            self._check_gateway(tick)
            self._report()
            self.gateway.ping(self._guard.between_frames)
            self.browser.ping(self._frames.between_messages)

    def _silence_of(self, leg: Leg, other: Leg) -> float | None:
        """Seconds for which an end has not answered, if they are too many."""
        if other.writing is not None:
            leg.forget_pings()  # we do not read from it, so we cannot hear it
        since = leg.asked
        if leg is self.gateway and leg.writing is not None:
            since = leg.writing  # a gateway reads all the time; a page may have better things to do
        silent = 0.0 if since is None else time.monotonic() - since
        owed = tcp.unacknowledged_for(leg.stream.socket)
        # The first ping went out up to a tick after the last sign of life.
        limit = self._timeout * (1 - 1 / TICKS)
        patience = limit * (BUSY_FACTOR if leg.unread > MUCH_TO_READ else 1)
        return max(silent, owed) if silent >= patience or owed >= limit else None

    def _check_gateway(self, tick: float) -> None:
        """Give a silent gateway's connection up, if the gateway answers in another way."""
        silence = self._silence_of(self.gateway, self.browser)
        if silence is None:
            self._end_silence()
            return
        self.silence = silence
        self._speaks.clear()
        # An answer here comes no later than one there: a tick is long enough for both.
        if self._answered_at is not None and time.monotonic() - self._answered_at >= tick:
            raise _silent("gateway", silence)
        if self._asking is None and self._answered_at is None:
            self._asking = asyncio.create_task(self._ask_gateway(), name="ask a silent gateway")

    async def _ask_gateway(self) -> None:
        try:
            if await self._gateway_answers():
                self._answered_at = time.monotonic()
        finally:
            self._asking = None

    def _end_silence(self) -> None:
        """The gateway speaks again: send it what was held."""
        self.silence = self._answered_at = None
        self._holding = False
        for data in self._held:  # not awaited: they are bounded
            self.gateway.stream.write(data)
        self._held.clear()
        self._whole = self._held_size = 0
        self._speaks.set()


def _silent(who: str, seconds: float) -> _End:
    return _End(
        CloseReason(who, "silent", f"the {who} has not answered for {seconds:.0f} s"), BAD_GATEWAY
    )
