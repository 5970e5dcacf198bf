"""The numbers of one round of benchmarks, and what a round measures."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

Figures = dict[str, dict[str, float | None]]  # panel -> peer -> figure; None if messages were lost


@dataclass
class Measurements:
    """The figures of one round, or of one benchmark in it."""

    figures: Figures = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)  # circumstances, for the JSON file


@dataclass(frozen=True)
class Workload:
    """The numbers of one round. The defaults are for results that are published."""

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


QUICK = Workload(
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


def log_progress(text: str) -> None:
    """Print a line about the progress to stderr."""
    print(text, file=sys.stderr, flush=True)
