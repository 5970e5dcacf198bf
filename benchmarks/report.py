"""The results as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .goals import PEERS, Panel, name_of
from .results import Results, Spread, Verdict
from .workload import Effort, Findings

Row = tuple[str, ...]


def number(value: float, digits: int) -> str:
    """A figure for people."""
    return f"{value:,.{digits}f}"


def shown(spread: Spread | None, digits: int, sign: str = "") -> str:
    """A median with the lowest and the highest round; with one round the figure alone."""
    if spread is None:
        return "lost"
    text = number(spread.median, digits) + sign
    if spread.low == spread.high:
        return text
    return f"{text} [{number(spread.low, digits)} .. {number(spread.high, digits)}]"


def figures_table(results: Results) -> str:
    """Every figure of every peer."""
    rows: list[Row] = []
    for panel in results.panels():
        rows.append((f"{panel.title} ({panel.unit})", ""))
        rows += [
            (f"  {name_of(peer)}", shown(results.spread(panel, peer), panel.digits))
            for peer in results.peers(panel)
        ]
    return _aligned(("figures: median [lowest .. highest round]", ""), rows)


def goals_table(results: Results) -> str:
    """Every goal, and whether it is met."""
    heads = ("what", "ours", "yardstick", "compared", "goal", "")
    return _aligned(heads, map(_goal_row, results.verdicts()))


def _goal_row(verdict: Verdict) -> Row:
    panel, goal = verdict.panel, verdict.goal
    sign = "x" if goal.times is not None else f" {panel.unit}"
    digits = 2 if goal.times is not None else panel.digits
    limit = f"{'>=' if goal.more else '<='} {goal.limit:g}{sign}"
    return (
        f"{panel.title}: {goal.peer}" + (f" / {goal.than}" if goal.than else ""),
        _median(verdict.ours, panel),
        _median(verdict.yardstick, panel) if goal.than else "",
        shown(verdict.compared, digits, sign),
        limit,
        "met" if verdict.met else "MISSED",
    )


def _median(spread: Spread | None, panel: Panel) -> str:
    return f"{number(spread.median, panel.digits)} {panel.unit}" if spread else "lost"


def _aligned(heads: Row, rows: Iterable[Row]) -> str:
    table = [heads, tuple("-" * len(head) for head in heads), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in table
    )
    return "\n".join(line.rstrip() for line in lines)


def write_json(
    path: Path, machine: dict[str, Any], effort: Effort, rounds: list[Findings], results: Results
) -> None:
    """Everything: the machine, each round's figures, and the goals."""
    goals = [
        {
            "panel": verdict.panel.key,
            **asdict(verdict.goal),
            "ours": _plain(verdict.ours),
            "yardstick": _plain(verdict.yardstick),
            "compared": _plain(verdict.compared),
            "met": verdict.met,
        }
        for verdict in results.verdicts()
    ]
    whole = {
        "machine": machine,
        "effort": asdict(effort),
        "peers": PEERS,
        "panels": {p.key: {"title": p.title, "unit": p.unit} for p in results.panels()},
        "rounds": [asdict(findings) for findings in rounds],
        "goals": goals,
    }
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _plain(spread: Spread | None) -> dict[str, float] | None:
    return asdict(spread) if spread else None
