"""When the relay should wait a moment before it reads again, so that small messages accumulate.

Relaying one small message costs as much as relaying hundreds in one read. Network cards coalesce
their interrupts for the same reason. A sender of few messages is not delayed, nor is the reply to
what a page has just sent.
"""

from __future__ import annotations

import time

SMALL_READ = 2048  # bytes; larger reads are never delayed
BURST = 16  # small reads in a row without a delay
READS_PER_SECOND = 2000  # small reads without a delay in the long run
COALESCE_DELAY = 0.001  # seconds


class ReadCoalescer:
    """A token bucket for small reads from one gateway: BURST tokens, READS_PER_SECOND new ones.

    Owned by the relay, which waits COALESCE_DELAY when the bucket is empty.
    """

    def __init__(self) -> None:
        self._last_read = time.monotonic()
        self.refill()

    def refill(self) -> None:
        """Allow the next BURST small reads without a delay; called when the page has sent."""
        self._tokens = float(BURST)

    def should_wait(self, size: int) -> bool:
        """Note a read of ``size`` bytes; whether to wait before the next one."""
        if size > SMALL_READ:
            return False
        now = time.monotonic()
        earned = (now - self._last_read) * READS_PER_SECOND
        self._last_read, self._tokens = now, min(BURST, self._tokens + earned) - 1
        return self._tokens < 0
