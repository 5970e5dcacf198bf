"""Ctrl-C and SIGTERM end a command that waits, in an orderly way."""

from __future__ import annotations

import signal

INTERRUPTED = 130  # the exit code that shells expect after Ctrl-C


def break_off_on_signals() -> None:
    """Raise KeyboardInterrupt on SIGINT and SIGTERM: once, for kernels are shut down after it."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    """Break off once; the second Ctrl-C comes while the kernel is being shut down."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
