"""The results as tables for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .goals import PEERS, Panel, display_name
from .results import Results, Spread, Verdict
from .workload import Measurements, Workload

Row = tuple[str, ...]


def format_number(value: float, digits: int) -> str:
    """Format a figure."""
    return f"{value:,.{digits}f}"


def format_spread(spread: Spread | None, digits: int, sign: str = "") -> str:
    """Format a median with the lowest and the highest round; only the figure if all are equal."""
    if spread is None:
        return "lost"
    text = format_number(spread.median, digits) + sign
    if spread.low == spread.high:
        return text
    return f"{text} [{format_number(spread.low, digits)} .. {format_number(spread.high, digits)}]"


def figures_table(results: Results) -> str:
    """Return a table with every figure of every peer."""
    rows: list[Row] = []
    for panel in results.panels():
        rows.append((f"{panel.title} ({panel.unit})", ""))
        rows += [
            (f"  {display_name(peer)}", format_spread(results.spread(panel, peer), panel.digits))
            for peer in results.peers(panel)
        ]
    return _aligned(("figures: median [lowest .. highest round]", ""), rows)


def goals_table(results: Results) -> str:
    """Return a table of the goals and whether they are met."""
    heads = ("panel", "ours", "yardstick", "compared", "goal", "")
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
        format_spread(verdict.compared, digits, sign),
        limit,
        "met" if verdict.met else "MISSED",
    )


def _median(spread: Spread | None, panel: Panel) -> str:
    return f"{format_number(spread.median, panel.digits)} {panel.unit}" if spread else "lost"


def _aligned(heads: Row, rows: Iterable[Row]) -> str:
    table = [heads, tuple("-" * len(head) for head in heads), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in table
    )
    return "\n".join(line.rstrip() for line in lines)


def write_json(
    path: Path,
    machine: dict[str, Any],
    workload: Workload,
    rounds: list[Measurements],
    results: Results,
) -> None:
    """Write the machine, each round's figures and notes, and the goals."""
    goals = [
        {
            "panel": verdict.panel.key,
            **asdict(verdict.goal),
            "ours": _as_dict(verdict.ours),
            "yardstick": _as_dict(verdict.yardstick),
            "compared": _as_dict(verdict.compared),
            "met": verdict.met,
        }
        for verdict in results.verdicts()
    ]
    document = {
        "machine": machine,
        "effort": asdict(workload),
        "peers": PEERS,
        "panels": {p.key: {"title": p.title, "unit": p.unit} for p in results.panels()},
        "rounds": [asdict(measurements) for measurements in rounds],
        "goals": goals,
    }
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _as_dict(spread: Spread | None) -> dict[str, float] | None:
    return asdict(spread) if spread else None
