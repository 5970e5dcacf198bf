"""Summary of the rounds: medians, spreads, and the goals that are met."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .goals import PANELS, Goal, Panel
from .workload import Figures


@dataclass(frozen=True)
class Spread:
    """Median and range of the figures of all rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Summarize figures."""
        return cls(statistics.median(figures), min(figures), max(figures))


@dataclass(frozen=True)
class Verdict:
    """A goal and its result. A spread is None if messages were lost in a round."""

    panel: Panel
    goal: Goal
    ours: Spread | None
    yardstick: Spread | None
    compared: Spread | None  # within each round: a slow phase of the machine affects both peers

    @property
    def met(self) -> bool:
        """Whether the median meets the goal."""
        return self.compared is not None and self.goal.met(self.compared.median)


class Results:
    """The figures of all rounds."""

    def __init__(self, rounds: Sequence[Figures]) -> None:
        self.rounds = rounds

    def panels(self) -> list[Panel]:
        """The panels that were measured."""
        return [panel for panel in PANELS if any(panel.key in each for each in self.rounds)]

    def peers(self, panel: Panel) -> list[str]:
        """The peers of a panel, in the order in which a round measures them."""
        return list(dict.fromkeys(p for each in self.rounds for p in each.get(panel.key, {})))

    def spread(self, panel: Panel, peer: str) -> Spread | None:
        """A peer's figures; None if messages were lost."""
        return _spread([each[panel.key][peer] for each in self.rounds if panel.key in each])

    def verdicts(self) -> Iterator[Verdict]:
        """Each goal whose peers were measured; without nginx some are not."""
        for panel in self.panels():
            peers = {"", *self.peers(panel)}
            for goal in panel.goals:
                if goal.peer in peers and goal.than in peers:
                    yield self._verdict(panel, goal)

    def _verdict(self, panel: Panel, goal: Goal) -> Verdict:
        compared: list[float | None] = []
        for each in self.rounds:
            figures = {"": 0.0, **each.get(panel.key, {})}
            ours, yardstick = figures[goal.peer], figures[goal.than]
            if ours is None or yardstick is None:
                compared.append(None)
            else:
                compared.append(goal.compare(ours, yardstick))
        return Verdict(
            panel,
            goal,
            self.spread(panel, goal.peer),
            self.spread(panel, goal.than) if goal.than else None,
            _spread(compared),
        )


def _spread(figures: Sequence[float | None]) -> Spread | None:
    known = [figure for figure in figures if figure is not None]
    return Spread.of(known) if len(known) == len(figures) else None
