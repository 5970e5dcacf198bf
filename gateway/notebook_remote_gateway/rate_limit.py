"""How many tickets may be made in a while: a token bucket."""

from __future__ import annotations

import time
from collections.abc import Callable


class Bucket:
    """Holds ``size`` at most and gets ``rate`` a second; whoever wants something takes one."""

    def __init__(
        self, rate: float, size: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._size, self._clock = rate, size, clock
        self._level, self._then = size, clock()

    def take(self) -> float:
        """Take one and return 0, or return the seconds until there is one."""
        now = self._clock()
        self._level = min(self._size, self._level + (now - self._then) * self._rate)
        self._then = now
        if self._level < 1:
            return (1 - self._level) / self._rate
        self._level -= 1
        return 0.0
