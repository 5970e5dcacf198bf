"""What the notebook server adds to REST calls: lists, and opening a notebook."""

from __future__ import annotations

import statistics
import time
import uuid

import requests

from tests.processes import Server

from .latency import started
from .page import Page
from .servers import Stable, stable
from .workload import Effort, Findings

PAUSE = 1.05  # seconds between two lists; pages ask less often, but there are more of them


def rest(effort: Effort) -> Findings:
    """Milliseconds for listing many kernels and sessions, and for opening a notebook."""
    findings = Findings()
    with stable() as servers:
        gateway = servers.synthetic().start()
        findings.figures["open-instant"] = _openings(_peers(servers, gateway), 5 * effort.openings)
    with stable() as servers:
        gateway = servers.gateway("kernel-gateway").start()
        found = _openings(_peers(servers, gateway), effort.openings, boot=gateway)
        findings.figures["open"] = found
    with stable() as servers:
        gateway = servers.synthetic().start()
        ours = servers.ours(gateway=gateway).start()
        # Each session starts a kernel; the gateway itself needs sessions of its own to list.
        for _ in range(effort.kernels):
            _start_session(ours)
        for kernel in gateway.get("/api/kernels").json():
            _start_session(gateway, kernel["id"])
        peers = {"direct": gateway, "ours": ours}
        for key in ("kernels", "sessions"):
            findings.figures[key] = _listings(peers, f"/api/{key}", effort)
    return findings


def _peers(servers: Stable, gateway: Server) -> dict[str, Server]:
    """nginx, which has no REST API of its own, would show what the gateway shows."""
    peers = {"stock": servers.stock(gateway=gateway), "ours": servers.ours(gateway=gateway)}
    return {"direct": gateway, **started(peers)}


def _start_session(server: Server, kernel_id: str = "") -> str:
    """Start what a page starts with a notebook, and return the id of the kernel."""
    name = f"{uuid.uuid4()}.ipynb"
    kernel = {"name": "python3"} | ({"kernel_id": kernel_id} if kernel_id else {})
    body = {"path": name, "name": name, "type": "notebook", "kernel": kernel}
    response = server.post("/api/sessions", body)
    response.raise_for_status()
    return str(response.json()["kernel"]["id"])


def _listings(peers: dict[str, Server], path: str, effort: Effort) -> dict[str, float | None]:
    """Milliseconds at the median for a list, on connections that stay open."""
    times: dict[str, list[float]] = {peer: [] for peer in peers}
    sessions = {peer: requests.Session() for peer in peers}
    for turn in range(effort.listings + 1):
        time.sleep(PAUSE)
        for peer, server in peers.items():
            headers = {"Authorization": f"token {server.token}"}
            started = time.perf_counter()
            response = sessions[peer].get(server.url + path, headers=headers, timeout=10)
            if turn:  # the first one connects
                times[peer].append(time.perf_counter() - started)
            if len(response.json()) != effort.kernels:
                raise RuntimeError(f"{peer} lists {len(response.json())} at {path}")
    return {peer: 1e3 * statistics.median(found) for peer, found in times.items()}


def _openings(
    peers: dict[str, Server], count: int, boot: Server | None = None
) -> dict[str, float | None]:
    """Milliseconds at the median from opening a notebook to the kernel's first reply."""
    times: dict[str, list[float]] = {peer: [] for peer in peers}
    for turn in range(count + 1):
        for peer, server in peers.items():
            seconds = _opening(server, peer != "direct", boot)
            if turn:  # the first start of all reads much from the disk
                times[peer].append(seconds)
    return {peer: 1e3 * statistics.median(found) for peer, found in times.items()}


def _opening(server: Server, session: bool, boot: Server | None) -> float:
    """Seconds; a gateway has no sessions of ours, so it is only asked for a kernel.

    With the gateway as ``boot``, the time in which the kernel's process comes up is waited for
    there, and not counted: 0.35 to 1 s whoever asks, among which a few ms more are not seen.
    """
    started = time.perf_counter()
    kernel_id = _start_session(server) if session else server.start_kernel(name="python3")
    seconds = time.perf_counter() - started
    if boot is not None:
        _first_reply(boot, kernel_id)
    seconds += _first_reply(server, kernel_id)
    server.request("DELETE", f"/api/kernels/{kernel_id}").raise_for_status()
    return seconds


def _first_reply(server: Server, kernel_id: str) -> float:
    """Seconds from asking for a kernel's channels to its reply there."""
    started = time.perf_counter()
    with Page(server, kernel_id) as page:
        page.messages_until(page.send("shell", "kernel_info_request", {}), "kernel_info_reply")
        return time.perf_counter() - started
