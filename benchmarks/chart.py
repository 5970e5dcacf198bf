"""The results as a chart: a bar for each peer, goals as lines."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .goals import Panel, display_name
from .report import format_number
from .results import Results, Verdict

COLUMNS = 2
WIDTH = 15.0  # inches
BAR_HEIGHT, PANEL_MARGIN = 0.28, 1.15  # inches; the margin is above and below a panel's bars
OURS, OTHERS = "#f37726", "#b5b5b5"  # Jupyter's orange among grey
GOAL, MISSED = "#1565c0", "#c62828"
LEGEND = "Blue: the goal for this bar. Thin line: from the lowest to the highest round."
# Equal results make equal files, with searchable text.
mpl.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9})


def draw(path: Path, results: Results, caption: str) -> None:
    """Write the chart as SVG."""
    panels = results.panels()
    rows = [panels[i : i + COLUMNS] for i in range(0, len(panels), COLUMNS)]
    heights = [PANEL_MARGIN + BAR_HEIGHT * max(len(results.peers(p)) for p in row) for row in rows]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    grid = figure.add_gridspec(len(rows), COLUMNS, height_ratios=heights)
    verdicts = list(results.verdicts())
    for position, panel in enumerate(panels):
        axes = figure.add_subplot(grid[divmod(position, COLUMNS)])
        panel_verdicts = [verdict for verdict in verdicts if verdict.panel is panel]
        _bars(axes, results, panel, {v.goal.peer for v in panel_verdicts if not v.met})
        for verdict in panel_verdicts:
            _goal(axes, verdict, results.peers(panel).index(verdict.goal.peer))
    figure.supxlabel(f"{LEGEND}\n{caption}", fontsize=9, color="#333333")
    figure.savefig(path, format="svg", metadata={"Date": None})


def _bars(axes: Axes, results: Results, panel: Panel, missed: set[str]) -> None:
    peers = results.peers(panel)
    max_value = 0.0
    for position, peer in enumerate(peers):
        spread = results.spread(panel, peer)
        if spread is None:
            axes.text(0, position, "  lost", va="center", color=MISSED)
            continue
        color = OURS if peer.startswith(("ours", "embedded")) else OTHERS
        errors = [[spread.median - spread.low], [spread.high - spread.median]]
        axes.barh(position, spread.median, color=color, height=0.7, xerr=errors, ecolor="#444444")
        text = format_number(spread.median, panel.digits) + (
            ", goal missed" if peer in missed else ""
        )
        axes.annotate(
            text,
            (spread.high, position),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=MISSED if peer in missed else "black",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.8},
            zorder=4,
        )
        max_value = max(max_value, spread.high)
    better = "more" if panel.unit.endswith("/s") else "less"
    title = f"{panel.title} [{panel.unit}, {better} is better]"
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_yticks(range(len(peers)), [display_name(peer) for peer in peers])
    axes.set_xlim(0, 1.25 * max_value or 1)
    axes.set_ylim(len(peers) - 0.5, -0.5)
    axes.spines[["top", "right"]].set_visible(False)


def _goal(axes: Axes, verdict: Verdict, position: int) -> None:
    """Draw a line across the bar that has a goal, at the figure that just meets the goal."""
    if verdict.goal.than and verdict.yardstick is None:
        return
    bound = verdict.goal.bound(verdict.yardstick.median if verdict.yardstick else 0.0)
    axes.plot(
        [bound, bound], [position - 0.45, position + 0.45], color=GOAL, linewidth=2.5, zorder=3
    )
    low, high = axes.get_xlim()
    axes.set_xlim(low, max(high, 1.1 * bound))
