"""A relay's throughput, its cost in CPU time and memory, and the same with TLS."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from tests.support.servers import Server

from .goals import LEGS
from .latency import relays, start_all
from .meter import Meter
from .page import FloodLost, Page
from .servers import NGINX, benchmark_servers
from .workload import Measurements, Workload


@dataclass(frozen=True)
class Flood:
    """Messages that a synthetic gateway sends as fast as it can."""

    count: int
    size: int  # bytes
    per_write: int = 1  # messages in one write

    def rate(self, seconds: float) -> float:
        """Return thousands of messages a second if they are small, else megabytes a second."""
        return self.count * (self.size / 1e6 if self.size > 1e4 else 1e-3) / seconds

    def cost(self, seconds: float) -> float:
        """Return microseconds for each message if they are small, else milliseconds for 100 MB."""
        return seconds / self.count * (1e11 / self.size if self.size > 1e4 else 1e6)

    def multiplied(self, times: float) -> Flood:
        """Return a flood that is a whole number of times as long."""
        return Flood(self.count * max(1, round(times)), self.size, self.per_write)


SMALL = Flood(20_000, 200, per_write=20)
SINGLE = Flood(20_000, 200)
BULK = Flood(200, 1_000_000)
FRAME = Flood(1, 100_000_000)


class Competitor:
    """One server and its figures so far."""

    def __init__(self, server: Server, flood: Flood, seconds: float) -> None:
        self.rates: list[float] = []
        self.costs: list[float] = []
        self.lost = False
        self.server = server
        self.kernel_id = server.start_kernel()
        self.meter = Meter(server)
        self.flood = flood
        # Floods of small messages are adjusted to last equally long on every server: CPU time is
        # measured in ticks of 10 ms. The other floods are long enough.
        if flood.size < 1e4:
            self.flood = flood.multiplied(seconds / self._time_flood(flood))

    def _time_flood(self, flood: Flood) -> float:
        """Return the seconds on a new connection: an idle one would not answer pings in time."""
        with Page(self.server, self.kernel_id) as page:
            page.time_reply()
            return page.flood(**vars(flood))

    def run(self) -> None:
        """Measure one flood, unless one was lost before."""
        if self.lost:
            return
        before = self.meter.cpu()
        try:
            seconds = self._time_flood(self.flood)
        except FloodLost:
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
        """The mean cost: the ticks are too coarse for a median."""
        return None if self.lost else statistics.fmean(self.costs)


def run_floods(peers: dict[str, Server], flood: Flood, workload: Workload) -> dict[str, Competitor]:
    """Send several floods through each server, in turns."""
    competitors = {
        p: Competitor(server, flood, workload.flood_seconds) for p, server in peers.items()
    }
    for _ in range(workload.floods):
        for competitor in competitors.values():
            competitor.run()
    return competitors


def throughput(workload: Workload) -> Measurements:
    """Rates, CPU time and growth of memory for small messages, bulk data and one huge message."""
    measurements = Measurements()
    figures = measurements.figures
    with benchmark_servers() as servers:
        gateway = servers.synthetic().start()
        peers = relays(servers, gateway)
        if NGINX:
            peers["nginx-64k"] = servers.nginx(gateway, large_buffers=True)
        peers = {"direct": gateway, **start_all(peers)}
        floods = {"small": SMALL, "single": SINGLE, "bulk": BULK, "frame": FRAME}
        Page(gateway).flood(**vars(FRAME))  # the gateway caches its large message
        for key, flood in floods.items():
            competitors = run_floods(peers, flood, workload)
            figures[key] = {peer: c.rate for peer, c in competitors.items()}
            # The gateway's own cost is not that of a relay.
            relay_results = {peer: c for peer, c in competitors.items() if peer != "direct"}
            if key != "frame":
                figures[f"{key}-cpu"] = {peer: c.cost for peer, c in relay_results.items()}
            figures[f"{key}-memory"] = {peer: c.meter.growth() for peer, c in relay_results.items()}
    return measurements


def tls(workload: Workload) -> Measurements:
    """Rates with TLS on either leg and on both; the notes have TLS version and cipher."""
    measurements = Measurements()
    with benchmark_servers() as servers:
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
                measurements.notes[f"TLS of {peer}"] = f"{page.tls or '-'} / {model['tls'] or '-'}"
        for key, flood in {"small": SMALL, "single": SINGLE, "bulk": BULK}.items():
            competitors = run_floods(peers, flood, workload)
            measurements.figures[f"tls-{key}"] = {peer: c.rate for peer, c in competitors.items()}
    return measurements
