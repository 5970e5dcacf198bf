"""What the rounds come to: medians, spreads, and which goals are met."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .goals import PANELS, Goal, Panel
from .workload import Figures


@dataclass(frozen=True)
class Spread:
    """The figures of all rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Sum up."""
        return cls(statistics.median(figures), min(figures), max(figures))


@dataclass(frozen=True)
class Verdict:
    """A goal and how it was kept. Spreads are None for what was lost in a round."""

    panel: Panel
    goal: Goal
    ours: Spread | None
    yardstick: Spread | None
    compared: Spread | None  # in each round by itself, so that what slows a round slows both

    @property
    def met(self) -> bool:
        """Whether the median keeps to the goal."""
        return self.compared is not None and self.goal.met(self.compared.median)


class Results:
    """The figures of all rounds."""

    def __init__(self, rounds: Sequence[Figures]) -> None:
        self.rounds = rounds

    def panels(self) -> list[Panel]:
        """Those that were measured."""
        return [panel for panel in PANELS if any(panel.key in each for each in self.rounds)]

    def peers(self, panel: Panel) -> list[str]:
        """Who took part, in the order of a round."""
        return list(dict.fromkeys(p for each in self.rounds for p in each.get(panel.key, {})))

    def spread(self, panel: Panel, peer: str) -> Spread | None:
        """A peer's figures; None if anything was lost."""
        return _spread([each[panel.key][peer] for each in self.rounds if panel.key in each])

    def verdicts(self) -> Iterator[Verdict]:
        """Each goal that could be judged; without nginx those about it cannot."""
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
                compared.append(goal.compared(ours, yardstick))
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
