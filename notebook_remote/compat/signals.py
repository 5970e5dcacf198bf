"""How a server of ours ends: in an orderly way, within seconds, and whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from jupyter_server.serverapp import ServerApp
from tornado import web
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

STOP_LIMIT = 4.5  # seconds for everything that is cleaned up
EXTENSIONS_LIMIT = 1.0  # of these, for the extensions to stop
KERNELS_LIMIT = 3.5  # and for the kernels
HARD_LIMIT = 5.0  # seconds after a signal until the process ends in any case
LEAVE_AFTER = 0.5  # seconds for threads to end after everything was cleaned up
WAKE = b"\0"  # no signal has this number
STOPPING = "The notebook server is being stopped."


class OrderlyServerApp(ServerApp):
    """A Jupyter server that no signal ends, or misses, in the middle of something.

    Upstream logs in the signal handler itself. If the log is being written at that moment, Python
    refuses ("reentrant call"), and the signal is lost: the server goes on for ever. So the event
    loop does what the signal asks for.

    Upstream stops its event loop only if nothing fails before. Here each step of the stop has its
    time, and the next one follows whatever becomes of it. Requests meanwhile are answered with 503.
    """

    _watchdog: Watchdog | None = None
    _ending: asyncio.Future[None] | None = None
    _stopping_at: Collection[int] = ()  # the signals that ask nobody

    def init_webapp(self) -> None:
        """Add the answer for requests during a stop before all others; called at initialization."""
        super().init_webapp()
        self.web_app.add_handlers(".*$", [(WhileStopping(self), StoppingHandler)])

    def init_signal(self) -> None:
        """Stop in an orderly way on SIGINT without a terminal too, where upstream just exits.

        Otherwise kernels on a gateway would be left behind. Called while the app is initialized.
        """
        self._watchdog = Watchdog(HARD_LIMIT, self._hear)
        super().init_signal()
        if not (sys.stdin and sys.stdin.isatty()):
            signal.signal(signal.SIGINT, self._signal_stop)
        # Asked now: with a terminal SIGINT asks first, and is one of these only while it does.
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._stopping_at = {n for n in numbers if signal.getsignal(n) == self._signal_stop}
        self._watchdog.listen()

    def start_ioloop(self) -> None:
        """Run until the server is stopped. From then on a signal ends the process at once."""
        super().start_ioloop()
        if self._watchdog is not None:
            self._watchdog.rest()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)

    @property
    def stopping(self) -> bool:
        """Whether the server has begun to stop."""
        return bool(self._stopping)

    def stop(self, from_signal: bool = False) -> None:
        """Begin to stop, unless that was done before. Called by a signal, a thread or a request."""
        self._stopping = True
        if self._watchdog is not None:
            self._watchdog.wake()
        self._in_loop(self._begin_to_end)

    def _begin_to_end(self) -> None:
        if self._ending is None:
            if hasattr(self, "http_server"):
                self.http_server.stop()  # accepts no more connections; those that are there stay
            self._ending = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        """Clean up, and stop the event loop whatever comes of that."""
        try:
            await self._within(STOP_LIMIT, "Cleaning up", self._cleanup())
        finally:
            self.io_loop.stop()

    def remove_server_info_file(self) -> None:
        """Remove the file by which this server is found; in a read-only directory it stays."""
        try:
            super().remove_server_info_file()
        except OSError as error:
            self.log.warning("The server's info file stays: %s", error)

    def remove_browser_open_files(self) -> None:
        """Remove the files with which a browser was opened; the same."""
        try:
            super().remove_browser_open_files()
        except OSError as error:
            self.log.warning("The file that opens a browser stays: %s", error)

    async def cleanup_extensions(self) -> None:
        """Stop the extensions; other people's code, so neither an error nor a wait keeps us."""
        cleanup = super().cleanup_extensions()
        await self._within(EXTENSIONS_LIMIT, "Stopping the extensions", cleanup)

    async def cleanup_kernels(self) -> None:
        """Shut the kernels down."""
        cleanup = super().cleanup_kernels()
        await self._within(KERNELS_LIMIT, "Shutting down the kernels", cleanup)

    async def _within(self, seconds: float, what: str, step: Coroutine[Any, Any, None]) -> None:
        """Do a step of the stop, but not for longer, and log its error."""
        task = asyncio.ensure_future(step)
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            task.cancel()  # without waiting for what becomes of that
            self.log.warning("%s takes longer than %s s: the stop goes on.", what, seconds)
        elif not task.cancelled() and task.exception() is not None:
            self.log.error("%s failed", what, exc_info=task.exception())

    def _signal_stop(self, sig: Any, frame: Any) -> None:
        if self._watchdog is not None:
            self._watchdog.wake()
        self._in_loop(super()._signal_stop, sig, frame)

    def _hear(self, number: int) -> bool:
        """Whether a signal is one to stop for; called in a thread, whatever the main one does.

        Python runs signal handlers in the main thread only, and only between two of its steps. The
        signal may have come to another thread, or just before the main one began to wait: so the
        event loop gets something to do, and stops even if the handler does not come to run.
        """
        handler_is_ours = signal.getsignal(number) == self._signal_stop
        stops = number in self._stopping_at and handler_is_ours
        with contextlib.suppress(RuntimeError):  # the loop is closed: we are leaving
            self._in_loop(self.stop if stops else lambda: None)
        return stops

    def _signal_info(self, sig: Any, frame: Any) -> None:
        self._in_loop(super()._signal_info, sig, frame)

    def _in_loop(self, *call: Any) -> None:
        # tornado's add_callback_from_signal warns, which writes too.
        self.io_loop.asyncio_loop.call_soon_threadsafe(*call)


class Watchdog:
    """Ends the process some seconds after it was woken, in case nothing else does.

    For an event loop that does not come to stopping, because some code blocks it. It is a thread
    from the beginning, and is woken through a pipe: a signal handler must not take a lock.

    ``heard`` is called in that thread with the number of each signal that comes, and says whether
    to count from then on.
    """

    def __init__(self, seconds: float, heard: Callable[[int], bool]) -> None:
        self._seconds = seconds
        self._heard = heard
        self._resting = threading.Event()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def wake(self) -> None:
        """Begin to count."""
        with contextlib.suppress(BlockingIOError):  # full of signals
            os.write(self._write, WAKE)

    def listen(self) -> None:
        """Have Python write the number of each signal into the pipe, in whatever thread it comes.

        Called in the main thread.
        """
        if os.name == "posix":  # elsewhere it takes sockets only
            signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def rest(self) -> None:
        """End nothing any more."""
        self._resting.set()

    def _run(self) -> None:
        counting = False
        while not counting:
            byte = os.read(self._read, 1)
            counting = byte == WAKE or self._heard(byte[0])
        if not self._resting.wait(self._seconds):
            text = b"The server did not stop in time: it is ended.\n"
            # In a thread, since it may be the log that nobody reads.
            words = threading.Thread(target=os.write, args=(2, text), daemon=True)
            words.start()
            words.join(0.1)
            os._exit(1)


class WhileStopping(Matcher):
    """A route for every request to a server that is being stopped."""

    def __init__(self, app: OrderlyServerApp) -> None:
        self._app = app

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Called by tornado for each request."""
        return {} if self._app.stopping else None


class StoppingHandler(web.RequestHandler):
    """Answers every request with 503, for which a page's front end tries again later."""

    def prepare(self) -> None:
        """Answer; called by tornado before it looks at the method."""
        self.set_status(503)
        self.set_header("Connection", "close")
        self.finish({"message": STOPPING, "reason": "Service Unavailable"})

    def _log(self) -> None:
        """Nothing: pages ask often, and each line would have their headers. Called by tornado."""


def leave() -> None:
    """End the process soon, after a server of ours has stopped and cleaned up.

    A request that is still being answered in a thread (importing nbconvert, say) would keep it for
    as long as that takes, or for ever, as it does with `jupyter notebook`.
    """
    timer = threading.Timer(LEAVE_AFTER, os._exit, args=(0,))
    timer.daemon = True
    timer.start()
