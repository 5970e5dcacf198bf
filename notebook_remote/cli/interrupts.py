"""Has a command end in an orderly way at Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal

USAGE_ERROR = 2  # the exit code for an argument that cannot be used, as of argparse
INTERRUPTED = 130  # the exit code that shells expect after Ctrl-C


def interrupt_on_signals() -> None:
    """Raise KeyboardInterrupt at the first SIGINT or SIGTERM; kernels are shut down then."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    """Interrupt once: a second Ctrl-C must not stop the shutdown of kernels."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
