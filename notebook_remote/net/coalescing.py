"""When to let a moment's messages come together before the next read.

To read and pass on one costs as much as hundreds that come together. A network card holds its
interrupts back for the same reason; as there, whoever sends little is not held up, and here neither
is the answer to what a page has just sent.
"""

from __future__ import annotations

import time

# Reads of up to LITTLE bytes that are taken as they come: so many at once, and so many a second.
SMALL_READ, BURST, READS_PER_SECOND = 2048, 16, 2000
COALESCE_DELAY = 0.001  # seconds in which the others come together


class ReadCoalescer:
    """Of what one gateway sends. Owned by the relay, which waits a MOMENT when it is rushed."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.hurry()

    def hurry(self) -> None:
        """Take the next reads as they come."""
        self._allowed = float(BURST)

    def is_rushed(self, size: int) -> bool:
        """Whether this read, of ``size`` bytes, is one more than are taken as they come."""
        if size > SMALL_READ:
            return False
        now = time.monotonic()
        earned = (now - self._last) * READS_PER_SECOND
        self._last, self._allowed = now, min(BURST, self._allowed + earned) - 1
        return self._allowed < 0
