"""Rate limit for tickets and passes: a token bucket."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Holds up to ``capacity`` tokens and gains ``rate`` tokens a second; it is full at first."""

    def __init__(
        self, rate: float, capacity: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate, self._capacity, self._clock = rate, capacity, clock
        self._tokens, self._updated_at = capacity, clock()

    def take(self) -> float:
        """Take one token and return 0; if there is none, return the seconds until there is one."""
        now = self._clock()
        gained = (now - self._updated_at) * self._rate
        self._tokens = min(self._capacity, self._tokens + gained)
        self._updated_at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0
