"""``python -m benchmarks``: runs the benchmarks, side by side, in several rounds."""

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
from .workload import QUICK, Measurements, Workload, log_progress

BENCHMARKS = {
    "execute": latency.execute,
    "hop": latency.hop,
    "throughput": throughput.throughput,
    "tls": throughput.tls,
    "scale": scale.scale,
    "rest": rest.rest,
}
MAX_OPEN_FILES = 8192  # connections of one process, if the system allows them


def main() -> None:
    """Measure, print and write the results. The exit status is 0 even if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, help="3, or 1 with --quick")
    parser.add_argument("--only", default=",".join(BENCHMARKS), help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="only check that everything works")
    parser.add_argument("--output", type=Path, help="folder for performance.json and .svg")
    options = parser.parse_args()
    selected = options.only.split(",")
    if not set(selected) <= set(BENCHMARKS):
        parser.error(f"--only accepts {','.join(BENCHMARKS)}")
    workload = QUICK if options.quick else Workload()
    workload = dataclasses.replace(workload, rounds=options.rounds or workload.rounds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped too
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MAX_OPEN_FILES)), hard))

    machine_info = machine.describe()
    rounds = [measure(selected, workload, number) for number in range(1, workload.rounds + 1)]
    results = Results([measurements.figures for measurements in rounds])
    print(report.figures_table(results), report.goals_table(results), sep="\n\n")
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        json_path = options.output / "performance.json"
        report.write_json(json_path, machine_info, workload, rounds, results)
        caption = "{cpu}, {cores} cores, {os}, Python {python}, {date}".format(**machine_info)
        chart.draw(options.output / "performance.svg", results, caption)


def measure(selected: list[str], workload: Workload, number: int) -> Measurements:
    """Run one round of the selected benchmarks."""
    measurements = Measurements()
    for name in selected:
        started = time.monotonic()
        log_progress(f"round {number} of {workload.rounds}: {name} ...")
        measured = BENCHMARKS[name](workload)
        measurements.figures.update(measured.figures)
        measurements.notes.update(measured.notes)
        log_progress(f"    {time.monotonic() - started:.0f} s")
    return measurements


if __name__ == "__main__":
    main()
