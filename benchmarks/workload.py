"""How much of everything is done, and what comes out of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

Figures = dict[str, dict[str, float | None]]  # by panel and peer; None: what was sent got lost


@dataclass
class Findings:
    """What one round, or one question in it, has found."""

    figures: Figures = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # circumstances, for the record


@dataclass(frozen=True)
class Effort:
    """The numbers of one round. The defaults are for results to publish."""

    rounds: int = 3
    cells: int = 100  # for each peer
    paused_cells: int = 20
    hops: int = 1000
    floods: int = 5
    flood_seconds: float = 0.4
    channels: int = 500
    scale_seconds: int = 15
    kernels: int = 200
    listings: int = 8
    openings: int = 15


QUICK = Effort(
    rounds=1,
    cells=20,
    paused_cells=5,
    hops=200,
    floods=2,
    flood_seconds=0.1,
    channels=100,
    scale_seconds=3,
    kernels=50,
    listings=2,
    openings=2,
)


def say(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)
