"""How long a trivial cell takes, and what the relay adds to a message's way to and fro."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from tests.processes import Server

from .page import Page
from .servers import NGINX, Stable, stable
from .workload import Effort, Findings

WARM_UP = 2  # turns whose times are not kept; a new TCP connection acknowledges at once
BLOCK = 10  # runs for one peer in a row, before it is the next one's turn
PAUSE = 0.1  # seconds before each run, where the peers take turns for each


def relays(servers: Stable, gateway: Server) -> dict[str, Server]:
    """What can stand before a gateway, not started."""
    found = {"stock": servers.stock(gateway=gateway), "ours": servers.ours(gateway=gateway)}
    return {**found, "nginx": servers.nginx(gateway)} if NGINX else found


def execute(effort: Effort) -> Findings:
    """Milliseconds from a cell to its reply, on real kernels behind a stock kernel gateway."""
    with stable() as servers:
        gateway = servers.gateway("kernel-gateway").start()
        extended = servers.gateway("kernel-gateway", addon=True).start()
        by_ticket = servers.ours("--mode=direct", gateway=extended).start()
        peers = {
            **relays(servers, gateway),
            "local": servers.stock(),
            "ours-local": servers.ours("--mode=local"),
            "embedded": servers.ours(),
        }
        pages = opened({"direct": gateway, **started(peers)})
        pages["ours-direct"] = Page.in_direct_mode(by_ticket, extended)
        paused = medians(pages, Page.execute, effort.paused_cells, block=1, pause=PAUSE)
        rapid = medians(pages, Page.execute, effort.cells)
        return Findings({"execute": rapid, "execute-paused": paused})


def hop(effort: Effort) -> Findings:
    """Milliseconds from a message to its answer, where the gateway answers at once."""
    with stable() as servers:
        gateway = servers.synthetic().start()
        pages = opened({"direct": gateway, **started(relays(servers, gateway))})
        return Findings({"hop": medians(pages, Page.ask, effort.hops)})


def started(peers: dict[str, Server]) -> dict[str, Server]:
    """Start servers."""
    return {peer: server.start() for peer, server in peers.items()}


def opened(peers: dict[str, Server]) -> dict[str, Page]:
    """A page for each server. All servers run already: a page that nobody reads is dropped."""
    return {peer: Page(server) for peer, server in peers.items()}


def medians(
    pages: dict[str, Page],
    run: Callable[[Page], float],
    count: int,
    block: int = BLOCK,
    pause: float = 0.0,
) -> dict[str, float | None]:
    """Milliseconds at the median for each page; the pages take turns, with a block of runs each."""
    samples: dict[str, list[float]] = {peer: [] for peer in pages}
    for turn in range(WARM_UP + count // block):
        for peer, page in pages.items():
            time.sleep(pause)
            times = [run(page) for _ in range(block)]
            samples[peer] += times if turn >= WARM_UP else []
    return {peer: 1e3 * statistics.median(times) for peer, times in samples.items()}
