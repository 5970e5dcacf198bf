"""``python -m benchmarks.outages``: what a page loses in an outage, and how it recovers.

A cell prints ten numbers a second during an outage of 1 s, 10 s, 60 s or 5 min, on the network leg
of the browser or of the gateway, with each kind of gateway. The page is a ``KernelConnection``,
which reconnects with the pauses of JupyterLab. All cases of one length run side by side; everything
takes about 12 minutes. ``--stock`` measures ``jupyter notebook --gateway-url`` instead.

Kinds of outage:

- *closed*, *reset*: all connections are closed or reset, and new ones are refused;
- *blackhole*: no data passes, and neither end is notified; delayed data arrives after the outage,
  as when a network recovers;
- *forgotten*: a blackhole after which old connections stay dead, as with a NAT that has lost its
  table. Not on the browser's leg: there only the browser could notice.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.intermediary import Intermediary
from tests.support.kernel_connection import KernelConnection
from tests.support.servers import Server

from . import machine
from .servers import BenchmarkServers, benchmark_servers
from .workload import log_progress

LENGTHS = (1.0, 10.0, 60.0, 300.0)  # seconds
GATEWAYS = {"js": "jupyter-server", "jkg": "kernel-gateway", "eg": "enterprise-gateway"}
FAILURES: dict[str, tuple[str, ...]] = {"gateway": ("closed", "reset", "blackhole", "forgotten")}
FAILURES["browser"] = FAILURES["gateway"][:-1]
RATE = 10  # lines a second
BEFORE, AFTER = 2.0, 5.0  # seconds for which the cell prints before and after the outage, roughly
# When two more cells are executed: seconds after the failure, and share of the outage.
FIRST_CELL, LAST_CELL = 0.5, 0.9
RECOVERY_TIMEOUT = 120.0  # seconds from the outage's end
PROBE_TIMEOUT = 15.0  # seconds until a probe is answered
CONCURRENT_STARTS = 4
PRINTING = """
import time
started = time.monotonic()
for number in range({count}):
    time.sleep(max(0, started + number / {rate} - time.monotonic()))
    print(number, flush=True)
"""


@dataclass(frozen=True)
class Case:
    """One kind of outage on one leg, with one kind of gateway."""

    gateway: str
    leg: str
    how: str


@dataclass
class Outcome:
    """The effect of an outage on a page. Times are in seconds, None if it never happened."""

    case: Case
    length: float
    told: float | None  # from the failure until the page's socket was closed
    lost: int  # lines
    doubled: int  # lines
    replied: bool  # whether the printing cell's reply arrived
    typed_first: int  # executions of the cell before the page noticed the outage
    typed_last: int  # executions of the cell towards the end of the outage
    back: float | None  # from the outage's end until the page's last reconnect
    state: str  # alive, zombie (connected without replies), or the page's final status


class Scenario:
    """A notebook server and the link that fails, for one case."""

    def __init__(self, case: Case, notebook: Server, link: Intermediary) -> None:
        self.case, self.notebook, self.link = case, notebook, link

    def page(self) -> KernelConnection:
        """Open a page with a new kernel."""
        proxied = copy.copy(self.notebook)
        if self.case.leg == "browser":
            proxied.url = self.link.url
        page = KernelConnection(proxied, self.notebook.start_kernel())
        page.wait_status("connected")
        page.run("1")
        return page

    def break_link(self) -> None:
        """Start the outage."""
        if self.case.how in ("closed", "reset"):
            self.link.refuse(reset=self.case.how == "reset")
        else:
            self.link.blackhole()

    def restore_link(self) -> None:
        """End the outage."""
        self.link.restore(forget=self.case.how == "forgotten")


def behind_intermediary(server: Server) -> tuple[Server, Intermediary]:
    """A server at the address of an intermediary in front of it."""
    link = Intermediary(int(server.url.rpartition(":")[2]), recorded=0)
    proxied = copy.copy(server)
    proxied.url = link.url
    return proxied, link


def create_scenarios(servers: BenchmarkServers, kinds: list[str], stock: bool) -> list[Scenario]:
    """Start the servers of every case."""
    scenarios = []
    for kind in kinds:
        gateway = servers.gateway(GATEWAYS[kind]).start()

        def notebook(gateway: Server, kind: str = kind) -> Server:
            server = (servers.stock if stock else servers.ours)(gateway=gateway)
            if kind == "eg":
                server.env["KERNEL_USERNAME"] = "ada"
            return server.start()

        for how in FAILURES["gateway"]:
            proxied, link = behind_intermediary(gateway)
            scenarios.append(Scenario(Case(kind, "gateway", how), notebook(proxied), link))
        front = notebook(gateway)
        scenarios += [
            Scenario(Case(kind, "browser", how), front, behind_intermediary(front)[1])
            for how in FAILURES["browser"]
        ]
    return scenarios


class CountedCell:
    """A cell that counts its executions."""

    def __init__(self, page: KernelConnection, path: Path) -> None:
        path.touch()
        self.path = path
        page.start(f"with open({str(path)!r}, 'a') as ran: ran.write('x')")

    @property
    def count(self) -> int:
        """The number of executions so far."""
        return self.path.stat().st_size


def run_outage(scenario: Scenario, page: KernelConnection, length: float, folder: Path) -> Outcome:
    """Measure one outage."""
    name = f"{scenario.case.gateway}-{scenario.case.leg}-{scenario.case.how}-{length:g}"
    count = int((BEFORE + length + AFTER) * RATE)
    cell = page.start(PRINTING.format(count=count, rate=RATE))
    page.wait("lines", lambda: page.outputs(cell).count("\n") >= BEFORE * RATE)
    scenario.break_link()
    failed_at = time.monotonic()
    time.sleep(FIRST_CELL)
    first = CountedCell(page, folder / f"{name}-first")
    time.sleep(max(0.0, failed_at + LAST_CELL * length - time.monotonic()))
    last = CountedCell(page, folder / f"{name}-last")
    time.sleep(max(0.0, failed_at + length - time.monotonic()))
    scenario.restore_link()
    ended_at = time.monotonic()
    state = probe(page, ended_at + RECOVERY_TIMEOUT)
    # The output may contain a warning that the messages buffered by the gateway exceed its limit.
    numbers = [int(word) for word in page.outputs(cell).split() if word.isdecimal()]
    reopened = [at for at in page.openings if at > failed_at]
    return Outcome(
        case=scenario.case,
        length=length,
        told=max(0.0, page.closings[0].at - failed_at) if page.closings else None,
        lost=count - len(set(numbers)),
        doubled=len(numbers) - len(set(numbers)),
        replied=any(m["msg_type"] == "execute_reply" for m in page.messages(cell)),
        typed_first=first.count,
        typed_last=last.count,
        back=max(0.0, reopened[-1] - ended_at) if reopened else None,
        state=state,
    )


def probe(page: KernelConnection, deadline: float) -> str:
    """Run cells until one is answered: earlier ones have run by then, or are lost."""
    while time.monotonic() < deadline:
        try:
            if page.status == "connected":
                page.messages_until(page.start("1"), "execute_reply", patience=PROBE_TIMEOUT)
                return "alive"
            page.wait_status("connected", "dead", "disconnected", patience=PROBE_TIMEOUT)
        except AssertionError:  # no answer yet
            continue
        if page.status != "connected":
            return page.status
    return "zombie" if page.status == "connected" else page.status


def measure(scenarios: list[Scenario], length: float, folder: Path) -> list[Outcome]:
    """Measure all cases of one length, side by side."""
    log_progress(f"{len(scenarios)} outages of {length:g} s ...")
    with ThreadPoolExecutor(CONCURRENT_STARTS) as pool:
        pages = list(pool.map(Scenario.page, scenarios))
    with ThreadPoolExecutor(len(scenarios)) as pool:
        jobs = [
            pool.submit(run_outage, scenario, page, length, folder)
            for scenario, page in zip(scenarios, pages, strict=True)
        ]
        outcomes = [job.result() for job in jobs]
    for scenario, page in zip(scenarios, pages, strict=True):
        page.close()
        scenario.link.cut()  # dead connections as well
        scenario.notebook.request("DELETE", f"/api/kernels/{page.kernel_id}")
    return outcomes


COLUMNS: dict[str, Callable[[Outcome], str]] = {
    "gateway": lambda o: o.case.gateway,
    "link": lambda o: o.case.leg,
    "broken": lambda o: o.case.how,
    "for": lambda o: f"{o.length:g} s",
    "noticed after": lambda o: seconds(o.told),
    "lost": lambda o: str(o.lost),
    "doubled": lambda o: str(o.doubled),
    "reply": lambda o: "yes" if o.replied else "lost",
    "early cell ran": lambda o: f"{o.typed_first} x",
    "late cell ran": lambda o: f"{o.typed_last} x",
    "back after": lambda o: seconds(o.back),
    "then": lambda o: o.state,
}


def seconds(value: float | None) -> str:
    """Format a time."""
    return "-" if value is None else f"{value:.1f} s"


def table(outcomes: list[Outcome]) -> str:
    """Format the results as a Markdown table."""
    rows = [list(COLUMNS), ["---"] * len(COLUMNS)]
    rows += [[show(outcome) for show in COLUMNS.values()] for outcome in outcomes]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outages", description=__doc__)
    known = [k for k in GATEWAYS if k != "eg" or os.environ.get("NOTEBOOK_REMOTE_EG_PYTHON")]
    parser.add_argument("--gateways", default=",".join(known), help="default: %(default)s")
    parser.add_argument("--lengths", default=",".join(f"{s:g}" for s in LENGTHS), help="seconds")
    parser.add_argument("--stock", action="store_true", help="jupyter notebook --gateway-url")
    parser.add_argument("--output", type=Path, help="file for the results as JSON")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    with benchmark_servers() as servers:
        scenarios = create_scenarios(servers, options.gateways.split(","), options.stock)
        try:
            for length in map(float, options.lengths.split(",")):
                outcomes += measure(scenarios, length, servers.folder)
        finally:
            for scenario in scenarios:
                scenario.link.__exit__()
    order = {scenario.case: number for number, scenario in enumerate(scenarios)}
    outcomes.sort(key=lambda outcome: order[outcome.case])
    sys.stdout.write(table(outcomes) + "\n")
    if options.output:
        whole: dict[str, Any] = {
            "machine": machine.describe(),
            "stock": options.stock,
            "outcomes": [asdict(outcome) for outcome in outcomes],
        }
        options.output.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
