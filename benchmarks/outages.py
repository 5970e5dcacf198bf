"""``python -m benchmarks.outages``: what a page loses when a link breaks, and how it comes back.

A cell prints ten numbers a second while the link is broken for 1 s, 10 s, 60 s and 5 min, on the
browser's or on the gateway's side, in front of each gateway. The page is a ``KernelConnection``,
with the pauses that JupyterLab makes. All cases of one length run side by side; the whole takes
some 12 minutes. ``--stock`` does the same to ``jupyter notebook --gateway-url``.

How a link breaks:

- *closed*, *reset*: its connections end, politely or not, and new ones are refused;
- *blackhole*: nothing passes and nobody is told; what was on its way comes when it is over, as on
  a network that is back;
- *forgotten*: a blackhole, and the connections of before stay dead, as with a NAT that has lost
  its table. Not on the browser's side: there nobody but the browser could notice.
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
from .servers import Stable, stable

LENGTHS = (1.0, 10.0, 60.0, 300.0)  # seconds
GATEWAYS = {"js": "jupyter-server", "jkg": "kernel-gateway", "eg": "enterprise-gateway"}
HOWS: dict[str, tuple[str, ...]] = {"gateway": ("closed", "reset", "blackhole", "forgotten")}
HOWS["browser"] = HOWS["gateway"][:-1]
RATE = 10  # lines a second
BEFORE, AFTER = 2.0, 5.0  # seconds for which the cell prints before and after the outage, about
TYPED_FIRST, TYPED_LAST = 0.5, 0.9  # when two cells are typed: seconds; share of the outage
GIVE_UP = 120.0  # seconds from the outage's end until a page that is not back is given up
PROBE = 15.0  # seconds for a probe to be answered
STARTS = 4  # kernels that start at the same time
PRINTING = """
import time
started = time.monotonic()
for number in range({count}):
    time.sleep(max(0, started + number / {rate} - time.monotonic()))
    print(number, flush=True)
"""


@dataclass(frozen=True)
class Case:
    """One way in which one link breaks."""

    gateway: str
    leg: str
    how: str


@dataclass
class Outcome:
    """What it did to a page. Times are in seconds; None is never."""

    case: Case
    length: float
    told: float | None  # from the break until the page's socket was closed
    lost: int  # lines
    doubled: int
    replied: bool  # whether the printing cell got its end
    typed_first: int  # how often the cell ran that was typed at once, while the page knew nothing
    typed_last: int  # and the one typed towards the end
    back: float | None  # from the outage's end until the page was connected for good
    state: str  # alive, zombie, or the page's status when it has given up


class Place:
    """A notebook server with the link that is broken, for one case."""

    def __init__(self, case: Case, notebook: Server, link: Intermediary) -> None:
        self.case, self.notebook, self.link = case, notebook, link

    def page(self) -> KernelConnection:
        """A page with a new kernel."""
        there = copy.copy(self.notebook)
        if self.case.leg == "browser":
            there.url = self.link.url
        page = KernelConnection(there, self.notebook.start_kernel())
        page.wait_status("connected")
        page.run("1")
        return page

    def break_link(self) -> None:
        """Begin the outage."""
        if self.case.how in ("closed", "reset"):
            self.link.refuse(reset=self.case.how == "reset")
        else:
            self.link.blackhole()

    def restore_link(self) -> None:
        """End the outage."""
        self.link.restore(forget=self.case.how == "forgotten")


def through(server: Server) -> tuple[Server, Intermediary]:
    """A server as it is seen through an intermediary of its own."""
    link = Intermediary(int(server.url.rpartition(":")[2]), recorded=0)
    there = copy.copy(server)
    there.url = link.url
    return there, link


def endpoints(servers: Stable, kinds: list[str], stock: bool) -> list[Place]:
    """Every case, with its servers running."""
    made = []
    for kind in kinds:
        gateway = servers.gateway(GATEWAYS[kind]).start()

        def notebook(gateway: Server, kind: str = kind) -> Server:
            server = (servers.stock if stock else servers.ours)(gateway=gateway)
            if kind == "eg":
                server.env["KERNEL_USERNAME"] = "ada"
            return server.start()

        for how in HOWS["gateway"]:
            there, link = through(gateway)
            made.append(Place(Case(kind, "gateway", how), notebook(there), link))
        front = notebook(gateway)
        made += [
            Place(Case(kind, "browser", how), front, through(front)[1]) for how in HOWS["browser"]
        ]
    return made


class Typed:
    """A cell that counts how often it runs."""

    def __init__(self, page: KernelConnection, path: Path) -> None:
        path.touch()
        self.path = path
        page.start(f"with open({str(path)!r}, 'a') as ran: ran.write('x')")

    @property
    def times(self) -> int:
        """How often it has run so far."""
        return self.path.stat().st_size


def suffer(place: Place, page: KernelConnection, length: float, folder: Path) -> Outcome:
    """Go through one outage."""
    name = f"{place.case.gateway}-{place.case.leg}-{place.case.how}-{length:g}"
    count = int((BEFORE + length + AFTER) * RATE)
    cell = page.start(PRINTING.format(count=count, rate=RATE))
    page.wait("lines", lambda: page.outputs(cell).count("\n") >= BEFORE * RATE)
    place.break_link()
    broken = time.monotonic()
    time.sleep(TYPED_FIRST)
    first = Typed(page, folder / f"{name}-first")
    time.sleep(max(0.0, broken + TYPED_LAST * length - time.monotonic()))
    last = Typed(page, folder / f"{name}-last")
    time.sleep(max(0.0, broken + length - time.monotonic()))
    place.restore_link()
    over = time.monotonic()
    state = probe(page, over + GIVE_UP)
    # Between them may stand that the gateway's limit of messages was exceeded by what it had kept.
    numbers = [int(word) for word in page.outputs(cell).split() if word.isdecimal()]
    reopened = [at for at in page.openings if at > broken]
    return Outcome(
        case=place.case,
        length=length,
        told=max(0.0, page.closings[0].at - broken) if page.closings else None,
        lost=count - len(set(numbers)),
        doubled=len(numbers) - len(set(numbers)),
        replied=any(m["msg_type"] == "execute_reply" for m in page.messages(cell)),
        typed_first=first.times,
        typed_last=last.times,
        back=max(0.0, reopened[-1] - over) if reopened else None,
        state=state,
    )


def probe(page: KernelConnection, deadline: float) -> str:
    """Run cells until one is answered: what was sent before it has run then, or is lost."""
    while time.monotonic() < deadline:
        try:
            if page.status == "connected":
                page.messages_until(page.start("1"), "execute_reply", patience=PROBE)
                return "alive"
            page.wait_status("connected", "dead", "disconnected", patience=PROBE)
        except AssertionError:  # not yet
            continue
        if page.status != "connected":
            return page.status
    return "zombie" if page.status == "connected" else page.status


def measure(made: list[Place], length: float, folder: Path) -> list[Outcome]:
    """All cases of one length, side by side."""
    say(f"{len(made)} outages of {length:g} s ...")
    with ThreadPoolExecutor(STARTS) as pool:
        pages = list(pool.map(Place.page, made))
    with ThreadPoolExecutor(len(made)) as pool:
        jobs = [
            pool.submit(suffer, place, page, length, folder)
            for place, page in zip(made, pages, strict=True)
        ]
        outcomes = [job.result() for job in jobs]
    for place, page in zip(made, pages, strict=True):
        page.close()
        place.link.cut()  # also what it has forgotten
        place.notebook.request("DELETE", f"/api/kernels/{page.kernel_id}")
    return outcomes


COLUMNS: dict[str, Callable[[Outcome], str]] = {
    "gateway": lambda o: o.case.gateway,
    "link": lambda o: o.case.leg,
    "broken": lambda o: o.case.how,
    "for": lambda o: f"{o.length:g} s",
    "told after": lambda o: seconds(o.told),
    "lost": lambda o: str(o.lost),
    "doubled": lambda o: str(o.doubled),
    "reply": lambda o: "yes" if o.replied else "lost",
    "typed at once ran": lambda o: f"{o.typed_first} x",
    "typed late ran": lambda o: f"{o.typed_last} x",
    "back after": lambda o: seconds(o.back),
    "then": lambda o: o.state,
}


def seconds(value: float | None) -> str:
    """A time for people."""
    return "-" if value is None else f"{value:.1f} s"


def table(outcomes: list[Outcome]) -> str:
    """The results in Markdown."""
    rows = [list(COLUMNS), ["---"] * len(COLUMNS)]
    rows += [[show(outcome) for show in COLUMNS.values()] for outcome in outcomes]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def say(text: str) -> None:
    """Tell the user what happens."""
    sys.stderr.write(text + "\n")


def main() -> None:
    """Measure, show, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outages", description=__doc__)
    known = [k for k in GATEWAYS if k != "eg" or os.environ.get("NOTEBOOK_REMOTE_EG_PYTHON")]
    parser.add_argument("--gateways", default=",".join(known), help="default: %(default)s")
    parser.add_argument("--lengths", default=",".join(f"{s:g}" for s in LENGTHS), help="seconds")
    parser.add_argument("--stock", action="store_true", help="jupyter notebook --gateway-url")
    parser.add_argument("--output", type=Path, help="file for the results as JSON")
    options = parser.parse_args()
    outcomes: list[Outcome] = []
    with stable() as servers:
        made = endpoints(servers, options.gateways.split(","), options.stock)
        try:
            for length in map(float, options.lengths.split(",")):
                outcomes += measure(made, length, servers.folder)
        finally:
            for place in made:
                place.link.__exit__()
    order = {place.case: number for number, place in enumerate(made)}
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
