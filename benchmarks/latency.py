"""How long a trivial cell takes, and what the relay adds to a message's round trip."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from tests.support.servers import Server

from .page import Page
from .servers import NGINX, BenchmarkServers, benchmark_servers
from .workload import Measurements, Workload

WARM_UP = 2  # turns that are not measured: a new TCP connection acknowledges immediately
BLOCK = 10  # consecutive runs for one peer in each turn
PAUSE = 0.1  # seconds before each run of the benchmark with pauses


def relays(servers: BenchmarkServers, gateway: Server) -> dict[str, Server]:
    """Servers that relay to a gateway, not started."""
    servers_by_peer = {
        "stock": servers.stock(gateway=gateway),
        "ours": servers.ours(gateway=gateway),
    }
    return {**servers_by_peer, "nginx": servers.nginx(gateway)} if NGINX else servers_by_peer


def execute(workload: Workload) -> Measurements:
    """Milliseconds from a cell to its reply, on real kernels behind a stock kernel gateway."""
    with benchmark_servers() as servers:
        gateway = servers.gateway("kernel-gateway").start()
        gateway_with_addon = servers.gateway("kernel-gateway", addon=True).start()
        direct = servers.ours("--mode=direct", gateway=gateway_with_addon).start()
        peers = {
            **relays(servers, gateway),
            "local": servers.stock(),
            "ours-local": servers.ours("--mode=local"),
            "embedded": servers.ours(),
        }
        pages = open_pages({"direct": gateway, **start_all(peers)})
        pages["ours-direct"] = Page.in_direct_mode(direct, gateway_with_addon)
        paused = medians(pages, Page.time_execution, workload.paused_cells, block=1, pause=PAUSE)
        immediate = medians(pages, Page.time_execution, workload.cells)
        return Measurements({"execute": immediate, "execute-paused": paused})


def hop(workload: Workload) -> Measurements:
    """Milliseconds from a message to its reply, where the gateway replies immediately."""
    with benchmark_servers() as servers:
        gateway = servers.synthetic().start()
        pages = open_pages({"direct": gateway, **start_all(relays(servers, gateway))})
        return Measurements({"hop": medians(pages, Page.time_reply, workload.hops)})


def start_all(peers: dict[str, Server]) -> dict[str, Server]:
    """Start servers."""
    return {peer: server.start() for peer, server in peers.items()}


def open_pages(peers: dict[str, Server]) -> dict[str, Page]:
    """Open a page at each server. Start all servers before: an idle page loses its connection."""
    return {peer: Page(server) for peer, server in peers.items()}


def medians(
    pages: dict[str, Page],
    run: Callable[[Page], float],
    count: int,
    block: int = BLOCK,
    pause: float = 0.0,
) -> dict[str, float | None]:
    """Median milliseconds of each page; the pages take turns, with a block of runs each."""
    samples: dict[str, list[float]] = {peer: [] for peer in pages}
    for turn in range(WARM_UP + count // block):
        for peer, page in pages.items():
            time.sleep(pause)
            times = [run(page) for _ in range(block)]
            samples[peer] += times if turn >= WARM_UP else []
    return {peer: 1e3 * statistics.median(times) for peer, times in samples.items()}
