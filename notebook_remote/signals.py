"""What a signal does to a server of ours: it stops in an orderly way, whatever it was doing."""

from __future__ import annotations

import signal
import sys
from typing import Any

from jupyter_server.serverapp import ServerApp


class OrderlyServerApp(ServerApp):
    """A Jupyter server that no signal ends, or misses, in the middle of something.

    Upstream logs in the signal handler itself. If the log is being written at that moment, Python
    refuses ("reentrant call"), and the signal is lost: the server goes on for ever. So the event
    loop does what the signal asks for.
    """

    def init_signal(self) -> None:
        """Stop in an orderly way on SIGINT without a terminal too, where upstream just exits.

        Otherwise kernels on a gateway would be left behind. Called while the app is initialized.
        """
        super().init_signal()
        if not (sys.stdin and sys.stdin.isatty()):
            signal.signal(signal.SIGINT, self._signal_stop)

    def _signal_stop(self, sig: Any, frame: Any) -> None:
        self._in_loop(super()._signal_stop, sig, frame)

    def _signal_info(self, sig: Any, frame: Any) -> None:
        self._in_loop(super()._signal_info, sig, frame)

    def _in_loop(self, *call: Any) -> None:
        # tornado's add_callback_from_signal warns, which writes too.
        self.io_loop.asyncio_loop.call_soon_threadsafe(*call)
