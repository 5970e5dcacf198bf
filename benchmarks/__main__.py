"""``python -m benchmarks``: everything, side by side, in several rounds."""

from __future__ import annotations

import argparse
import dataclasses
import resource
import signal
import sys
import time
from pathlib import Path

from . import chart, latency, machine, report, rest, scale, throughput
from .results import Results
from .workload import QUICK, Effort, Findings, say

QUESTIONS = {
    "execute": latency.execute,
    "hop": latency.hop,
    "throughput": throughput.throughput,
    "tls": throughput.tls,
    "scale": scale.scale,
    "rest": rest.rest,
}
CONNECTIONS = 8192  # of one process, where the system allows them


def main() -> None:
    """Measure, show, and write. The status is 0 whatever comes out: this is no test."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, help="3, or 1 with --quick")
    parser.add_argument("--only", default=",".join(QUESTIONS), help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="see that it works; no results")
    parser.add_argument("--output", type=Path, help="folder for performance.json and .svg")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if not set(chosen) <= set(QUESTIONS):
        parser.error(f"--only takes some of {','.join(QUESTIONS)}")
    effort = QUICK if options.quick else Effort()
    effort = dataclasses.replace(effort, rounds=options.rounds or effort.rounds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends the servers too
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, CONNECTIONS)), hard))

    described = machine.describe()
    rounds = [measure(chosen, effort, number) for number in range(1, effort.rounds + 1)]
    results = Results([findings.figures for findings in rounds])
    print(report.figures_table(results), report.goals_table(results), sep="\n\n")
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        json_path = options.output / "performance.json"
        report.write_json(json_path, described, effort, rounds, results)
        caption = "{cpu}, {cores} cores, {os}, Python {python}, {date}".format(**described)
        chart.draw(options.output / "performance.svg", results, caption)


def measure(chosen: list[str], effort: Effort, number: int) -> Findings:
    """One round of the chosen questions."""
    findings = Findings()
    for name in chosen:
        started = time.monotonic()
        say(f"round {number} of {effort.rounds}: {name} ...")
        found = QUESTIONS[name](effort)
        findings.figures.update(found.figures)
        findings.notes.update(found.notes)
        say(f"    {time.monotonic() - started:.0f} s")
    return findings


if __name__ == "__main__":
    main()
