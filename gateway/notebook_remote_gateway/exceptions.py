"""Why something is refused: one exception with a code, which is what the log has of it."""

from __future__ import annotations


class Refused(Exception):
    """What was presented opens nothing. ``reason`` is one of the codes in README.md."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
