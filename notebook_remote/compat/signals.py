"""Stops a server in an orderly way, and within seconds, even if a step of that fails or blocks."""

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

CLEANUP_TIMEOUT = 4.5  # seconds for all of the cleanup
EXTENSIONS_TIMEOUT = 1.0  # of these, for the extensions to stop
KERNELS_TIMEOUT = 3.5  # of these, for the kernels to shut down
WATCHDOG_TIMEOUT = 5.0  # seconds after a signal until the process is ended in any case
EXIT_DELAY = 0.5  # seconds for threads to end after the cleanup
WAKE = b"\0"  # no signal has this number
STOPPING = "The notebook server is being stopped."


class OrderlyServerApp(ServerApp):
    """A Jupyter server that stops on every signal, in an orderly way.

    jupyter_server logs in its signal handler. If the log is being written at that moment, Python
    raises an error ("reentrant call"), and the signal is lost. So here the event loop handles it.

    jupyter_server stops its event loop only if no step of the cleanup fails. Here each step has a
    timeout, and the next one follows in any case. Meanwhile requests are answered with 503.
    """

    _watchdog: Watchdog | None = None
    _stop_task: asyncio.Future[None] | None = None
    _stop_signals: Collection[int] = ()  # those that stop without confirmation

    def init_webapp(self) -> None:
        """Add the route for requests during a stop, before all others; called at initialization."""
        super().init_webapp()
        self.web_app.add_handlers(".*$", [(StoppingMatcher(self), StoppingHandler)])

    def init_signal(self) -> None:
        """Handle SIGINT without a terminal too, where jupyter_server just exits.

        Otherwise kernels on a gateway would keep running. Called while the app is initialized.
        """
        self._watchdog = Watchdog(WATCHDOG_TIMEOUT, self._on_signal)
        super().init_signal()
        if not (sys.stdin and sys.stdin.isatty()):
            signal.signal(signal.SIGINT, self._signal_stop)
        # Determined now: on a terminal SIGINT asks for confirmation first, and changes its handler.
        numbers = (signal.SIGINT, signal.SIGTERM)
        self._stop_signals = {n for n in numbers if signal.getsignal(n) == self._signal_stop}
        self._watchdog.listen()

    def start_ioloop(self) -> None:
        """Run until the server is stopped; from then on a signal ends the process at once."""
        super().start_ioloop()
        if self._watchdog is not None:
            self._watchdog.disarm()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)

    @property
    def stopping(self) -> bool:
        """Whether the server has begun to stop."""
        return bool(self._stopping)

    def stop(self, from_signal: bool = False) -> None:
        """Begin to stop, once. Called by a signal handler, a thread or a request."""
        self._stopping = True
        if self._watchdog is not None:
            self._watchdog.wake()
        self._in_loop(self._begin_to_stop)

    def _begin_to_stop(self) -> None:
        if self._stop_task is None:
            if hasattr(self, "http_server"):
                self.http_server.stop()  # accepts no more connections; open ones stay
            self._stop_task = asyncio.ensure_future(self._stop())

    async def _stop(self) -> None:
        """Clean up, and stop the event loop in any case."""
        try:
            await self._run_step(CLEANUP_TIMEOUT, "Cleaning up", self._cleanup())
        finally:
            self.io_loop.stop()

    def remove_server_info_file(self) -> None:
        """Remove the server info file; in a read-only directory it stays."""
        try:
            super().remove_server_info_file()
        except OSError as error:
            self.log.warning("The server's info file stays: %s", error)

    def remove_browser_open_files(self) -> None:
        """Remove the files that open a browser; in a read-only directory they stay."""
        try:
            super().remove_browser_open_files()
        except OSError as error:
            self.log.warning("The file that opens a browser stays: %s", error)

    async def cleanup_extensions(self) -> None:
        """Stop the extensions; third-party code, so errors and delays are tolerated."""
        cleanup = super().cleanup_extensions()
        await self._run_step(EXTENSIONS_TIMEOUT, "Stopping the extensions", cleanup)

    async def cleanup_kernels(self) -> None:
        """Shut the kernels down."""
        cleanup = super().cleanup_kernels()
        await self._run_step(KERNELS_TIMEOUT, "Shutting down the kernels", cleanup)

    async def _run_step(self, seconds: float, what: str, step: Coroutine[Any, Any, None]) -> None:
        """Run a step of the cleanup with a timeout, and log its error."""
        task = asyncio.ensure_future(step)
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            task.cancel()  # without waiting for the cancellation
            self.log.warning("%s takes longer than %s s: the stop goes on.", what, seconds)
        elif not task.cancelled() and task.exception() is not None:
            self.log.error("%s failed", what, exc_info=task.exception())

    def _signal_stop(self, sig: Any, frame: Any) -> None:
        if self._watchdog is not None:
            self._watchdog.wake()
        self._in_loop(super()._signal_stop, sig, frame)

    def _on_signal(self, number: int) -> bool:
        """Note a signal, and return whether to stop for it; called in the watchdog's thread.

        Python runs signal handlers in the main thread only, between two bytecode instructions. The
        signal may reach another thread, or arrive just before the main one blocks. So this wakes
        the event loop, and makes it stop even if the handler does not run.
        """
        handler_is_ours = signal.getsignal(number) == self._signal_stop
        is_stop = number in self._stop_signals and handler_is_ours
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            self._in_loop(self.stop if is_stop else lambda: None)
        return is_stop

    def _signal_info(self, sig: Any, frame: Any) -> None:
        self._in_loop(super()._signal_info, sig, frame)

    def _in_loop(self, *call: Any) -> None:
        # tornado's add_callback_from_signal logs a warning, too.
        self.io_loop.asyncio_loop.call_soon_threadsafe(*call)


class Watchdog:
    """A thread that ends the process some seconds after ``wake``, if nothing else does.

    For an event loop that cannot stop, because some code blocks it. The thread runs from the start,
    and a pipe wakes it, since a signal handler must not take a lock.

    ``on_signal`` is called in that thread with the number of each signal, and returns whether the
    countdown begins.
    """

    def __init__(self, seconds: float, on_signal: Callable[[int], bool]) -> None:
        self._seconds = seconds
        self._on_signal = on_signal
        self._disarmed = threading.Event()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def wake(self) -> None:
        """Begin the countdown."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full of signals
            os.write(self._write, WAKE)

    def listen(self) -> None:
        """Have Python write the number of each signal into the pipe, in any thread.

        Called in the main thread.
        """
        if os.name == "posix":  # on Windows it takes sockets only
            signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def disarm(self) -> None:
        """Never end the process from now on."""
        self._disarmed.set()

    def _run(self) -> None:
        counting = False
        while not counting:
            byte = os.read(self._read, 1)
            counting = byte == WAKE or self._on_signal(byte[0])
        if not self._disarmed.wait(self._seconds):
            text = b"The server did not stop in time: it is ended.\n"
            # In a thread, since a write blocks if nobody reads the log.
            writer = threading.Thread(target=os.write, args=(2, text), daemon=True)
            writer.start()
            writer.join(0.1)
            os._exit(1)


class StoppingMatcher(Matcher):
    """Matches every request while the server stops."""

    def __init__(self, app: OrderlyServerApp) -> None:
        self._app = app

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Match a request; called by tornado."""
        return {} if self._app.stopping else None


class StoppingHandler(web.RequestHandler):
    """Answers every request with 503, after which a page tries again later."""

    def prepare(self) -> None:
        """Answer; called by tornado for any method."""
        self.set_status(503)
        self.set_header("Connection", "close")
        self.finish({"message": STOPPING, "reason": "Service Unavailable"})

    def _log(self) -> None:
        """Log nothing, since pages try often, and the line would contain their headers."""


def exit_soon() -> None:
    """End the process soon, after the server has cleaned up.

    A thread that still answers a request (it imports nbconvert, say) would otherwise keep the
    process running until it ends, as with `jupyter notebook`.
    """
    timer = threading.Timer(EXIT_DELAY, os._exit, args=(0,))
    timer.daemon = True
    timer.start()
