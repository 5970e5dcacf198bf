"""What the notebook server adds to REST calls: lists, and opening a notebook."""

from __future__ import annotations

import statistics
import time
import uuid

import requests

from tests.support.servers import Server

from .latency import start_all
from .page import Page
from .servers import BenchmarkServers, benchmark_servers
from .workload import Measurements, Workload

PAUSE = 1.05  # seconds between two lists; a page requests them less often, but there are many


def rest(workload: Workload) -> Measurements:
    """Milliseconds for listing many kernels and sessions, and for opening a notebook."""
    measurements = Measurements()
    with benchmark_servers() as servers:
        gateway = servers.synthetic().start()
        measurements.figures["open-instant"] = _measure_openings(
            _peers(servers, gateway), 5 * workload.openings
        )
    with benchmark_servers() as servers:
        gateway = servers.gateway("kernel-gateway").start()
        found = _measure_openings(_peers(servers, gateway), workload.openings, boot=gateway)
        measurements.figures["open"] = found
    with benchmark_servers() as servers:
        gateway = servers.synthetic().start()
        ours = servers.ours(gateway=gateway).start()
        # A session starts a kernel; to list sessions, the gateway needs its own.
        for _ in range(workload.kernels):
            _start_session(ours)
        for kernel in gateway.get("/api/kernels").json():
            _start_session(gateway, kernel["id"])
        peers = {"direct": gateway, "ours": ours}
        for key in ("kernels", "sessions"):
            measurements.figures[key] = _measure_lists(peers, f"/api/{key}", workload)
    return measurements


def _peers(servers: BenchmarkServers, gateway: Server) -> dict[str, Server]:
    """Servers with a REST API; nginx has none of its own."""
    peers = {"stock": servers.stock(gateway=gateway), "ours": servers.ours(gateway=gateway)}
    return {"direct": gateway, **start_all(peers)}


def _start_session(server: Server, kernel_id: str = "") -> str:
    """Start a session as a page does for a notebook, and return the kernel's id."""
    name = f"{uuid.uuid4()}.ipynb"
    kernel = {"name": "python3"} | ({"kernel_id": kernel_id} if kernel_id else {})
    body = {"path": name, "name": name, "type": "notebook", "kernel": kernel}
    response = server.post("/api/sessions", body)
    response.raise_for_status()
    return str(response.json()["kernel"]["id"])


def _measure_lists(
    peers: dict[str, Server], path: str, workload: Workload
) -> dict[str, float | None]:
    """Median milliseconds for a list, on persistent connections."""
    times: dict[str, list[float]] = {peer: [] for peer in peers}
    sessions = {peer: requests.Session() for peer in peers}
    for turn in range(workload.listings + 1):
        time.sleep(PAUSE)
        for peer, server in peers.items():
            headers = {"Authorization": f"token {server.token}"}
            started = time.perf_counter()
            response = sessions[peer].get(server.url + path, headers=headers, timeout=10)
            if turn:  # the first request connects
                times[peer].append(time.perf_counter() - started)
            if len(response.json()) != workload.kernels:
                raise RuntimeError(f"{peer} lists {len(response.json())} at {path}")
    return {peer: 1e3 * statistics.median(found) for peer, found in times.items()}


def _measure_openings(
    peers: dict[str, Server], count: int, boot: Server | None = None
) -> dict[str, float | None]:
    """Median milliseconds from opening a notebook to the kernel's first reply."""
    times: dict[str, list[float]] = {peer: [] for peer in peers}
    for turn in range(count + 1):
        for peer, server in peers.items():
            seconds = _time_opening(server, peer != "direct", boot)
            if turn:  # the first start reads much from the disk
                times[peer].append(seconds)
    return {peer: 1e3 * statistics.median(found) for peer, found in times.items()}


def _time_opening(server: Server, session: bool, boot: Server | None) -> float:
    """Return the seconds to open a notebook; with ``session``, by a session, else only a kernel.

    If ``boot`` is the gateway, the start of the kernel's process is awaited there and not counted:
    it takes 0.35 to 1 s, which would hide a difference of a few milliseconds between servers.
    """
    started = time.perf_counter()
    kernel_id = _start_session(server) if session else server.start_kernel(name="python3")
    seconds = time.perf_counter() - started
    if boot is not None:
        _time_first_reply(boot, kernel_id)
    seconds += _time_first_reply(server, kernel_id)
    server.request("DELETE", f"/api/kernels/{kernel_id}").raise_for_status()
    return seconds


def _time_first_reply(server: Server, kernel_id: str) -> float:
    """Return the seconds from the request for a kernel's channels to the first reply there."""
    started = time.perf_counter()
    with Page(server, kernel_id) as page:
        page.messages_until(page.send("shell", "kernel_info_request", {}), "kernel_info_reply")
        return time.perf_counter() - started
