"""How much a relay passes on, what that costs it, and what is left of it with TLS."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from tests.processes import Server

from .goals import LEGS
from .latency import relays, started
from .meter import Meter
from .page import Lost, Page
from .servers import NGINX, stable
from .workload import Effort, Findings


@dataclass(frozen=True)
class Flood:
    """Messages that a synthetic gateway sends at once."""

    count: int
    size: int  # bytes
    together: int = 1  # messages in one write

    def rate(self, seconds: float) -> float:
        """Thousands of small messages a second, or megabytes a second."""
        return self.count * (self.size / 1e6 if self.size > 1e4 else 1e-3) / seconds

    def cost(self, seconds: float) -> float:
        """Microseconds for a small message, or milliseconds for 100 MB."""
        return seconds / self.count * (1e11 / self.size if self.size > 1e4 else 1e6)

    def longer(self, times: float) -> Flood:
        """The same, so many times, in whole numbers."""
        return Flood(self.count * max(1, round(times)), self.size, self.together)


SMALL = Flood(20_000, 200, together=20)
SINGLE = Flood(20_000, 200)
BULK = Flood(200, 1_000_000)
FRAME = Flood(1, 100_000_000)


class Contestant:
    """One server that takes part, and its figures so far."""

    def __init__(self, server: Server, flood: Flood, seconds: float) -> None:
        self.rates: list[float] = []
        self.costs: list[float] = []
        self.lost = False
        self.server = server
        self.kernel_id = server.start_kernel()
        self.meter = Meter(server)
        self.flood = flood
        # A fast server gets more to do, so that all work for about as long: a CPU's clock ticks
        # every 10 ms. The other floods are long enough.
        if flood.size < 1e4:
            self.flood = flood.longer(seconds / self._take(flood))

    def _take(self, flood: Flood) -> float:
        """Seconds, on a new connection: one that waited for its turn would not answer pings."""
        with Page(self.server, self.kernel_id) as page:
            page.ask()
            return page.flood(**vars(flood))

    def run(self) -> None:
        """One flood, unless one was lost already."""
        if self.lost:
            return
        before = self.meter.cpu()
        try:
            seconds = self._take(self.flood)
        except Lost:
            self.lost = True
            return
        self.rates.append(self.flood.rate(seconds))
        self.costs.append(self.flood.cost(self.meter.cpu() - before))

    @property
    def rate(self) -> float | None:
        """The median rate."""
        return None if self.lost else statistics.median(self.rates)

    @property
    def cost(self) -> float | None:
        """The mean cost: single ones are too coarse."""
        return None if self.lost else statistics.fmean(self.costs)


def compete(peers: dict[str, Server], flood: Flood, effort: Effort) -> dict[str, Contestant]:
    """Flood each server in turn, several times."""
    found = {p: Contestant(server, flood, effort.flood_seconds) for p, server in peers.items()}
    for _ in range(effort.floods):
        for contestant in found.values():
            contestant.run()
    return found


def throughput(effort: Effort) -> Findings:
    """Rates, CPU time and growth of memory for small messages, bulk, and one huge message."""
    findings = Findings()
    figures = findings.figures
    with stable() as servers:
        gateway = servers.synthetic().start()
        peers = relays(servers, gateway)
        if NGINX:
            peers["nginx-64k"] = servers.nginx(gateway, large_buffers=True)
        peers = {"direct": gateway, **started(peers)}
        floods = {"small": SMALL, "single": SINGLE, "bulk": BULK, "frame": FRAME}
        Page(gateway).flood(**vars(FRAME))  # which the gateway makes once and keeps
        for key, flood in floods.items():
            found = compete(peers, flood, effort)
            figures[key] = {peer: c.rate for peer, c in found.items()}
            # The gateway's own costs say nothing of relays.
            relaying = {peer: c for peer, c in found.items() if peer != "direct"}
            if key != "frame":
                figures[f"{key}-cpu"] = {peer: c.cost for peer, c in relaying.items()}
            figures[f"{key}-memory"] = {peer: c.meter.growth() for peer, c in relaying.items()}
    return findings


def tls(effort: Effort) -> Findings:
    """Rates with TLS on either leg and on both, and what was agreed on there."""
    findings = Findings()
    with stable() as servers:
        gateways = {False: servers.synthetic().start(), True: servers.synthetic(tls=True).start()}
        peers: dict[str, Server] = {}
        for leg in LEGS:
            gateway = gateways[leg != "browser"]
            peers[f"ours: {leg}"] = servers.ours(gateway=gateway, leg=leg).start()
            if NGINX:
                peers[f"nginx: {leg}"] = servers.nginx(gateway, leg=leg).start()
        for peer, server in peers.items():
            with Page(server) as page:
                model = gateways["browser" not in peer].get(f"/api/kernels/{page.kernel_id}").json()
                findings.notes[f"TLS of {peer}"] = f"{page.tls or '-'} / {model['tls'] or '-'}"
        for key, flood in {"small": SMALL, "single": SINGLE, "bulk": BULK}.items():
            found = compete(peers, flood, effort)
            findings.figures[f"tls-{key}"] = {peer: c.rate for peer, c in found.items()}
    return findings
