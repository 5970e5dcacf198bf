"""Many kernels at once through one server: how long the unluckiest wait, and what it remembers."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.processes import Server

from .meter import Meter
from .servers import NGINX, stable
from .synthetic_gateway import V1, encode, message
from .workload import Effort, Findings

OPENED_AT_ONCE = 10
SETTLING = 2.0  # seconds until memory is read and the load begins
EVERY = 1.0  # seconds between two executions on a kernel
PATIENCE = 60.0  # seconds, beyond what it has to take


def scale(effort: Effort) -> Findings:
    """Latency with one execution a second on each of many kernels, and memory of idle channels."""
    findings = Findings({"scale": {}, "scale-median": {}, "scale-memory": {}})
    with stable() as servers:
        gateway = servers.synthetic().start()
        # As Kernel Gateway and Enterprise Gateway come, they do not list their kernels.
        unlisted = servers.synthetic("--no-listing").start()
        peers = {
            "direct": gateway,
            "ours": servers.ours(gateway=gateway).start(),
            "ours: no listing": servers.ours(gateway=unlisted).start(),
        }
        if NGINX:
            peers["nginx"] = servers.nginx(gateway).start()
        for peer, server in peers.items():
            kernels = [server.start_kernel() for _ in range(effort.channels)]
            times, memory = asyncio.run(_load(server, kernels, effort.scale_seconds))
            findings.figures["scale"][peer] = 1e3 * statistics.quantiles(times, n=100)[98]
            findings.figures["scale-median"][peer] = 1e3 * statistics.median(times)
            if peer != "direct":
                findings.figures["scale-memory"][peer] = memory / 1e3
            # Each has the machine for itself; the gateway is the first of them.
            if server is not gateway:
                server.stop()
    return findings


async def _load(server: Server, kernels: list[str], seconds: int) -> tuple[list[float], float]:
    """Seconds that the answers took, and bytes for each kernel's open channels."""
    meter = Meter(server)
    before = meter.resident()
    limit = asyncio.Semaphore(OPENED_AT_ONCE)

    async def open_one(kernel_id: str) -> WebSocketClientConnection:
        async with limit:
            return await _open(server, kernel_id)

    channels = await asyncio.gather(*map(open_one, kernels))
    await asyncio.sleep(SETTLING)
    memory = (meter.resident() - before) / len(kernels)
    # Spread over the second, as people are.
    users = [
        _use(channel, EVERY * place / len(channels), seconds)
        for place, channel in enumerate(channels)
    ]
    times = await asyncio.wait_for(asyncio.gather(*users), seconds + PATIENCE)
    for channel in channels:
        channel.close()
    return [one for each in times for one in each], memory


async def _open(server: Server, kernel_id: str) -> WebSocketClientConnection:
    url = f"ws{server.url.removeprefix('http')}/api/kernels/{kernel_id}/channels"
    request = HTTPRequest(
        f"{url}?session_id={uuid.uuid4().hex}",
        headers={"Authorization": f"token {server.token}"},
        request_timeout=PATIENCE,
    )
    return await websocket_connect(request, subprotocols=[V1])


async def _use(channel: WebSocketClientConnection, offset: float, seconds: int) -> list[float]:
    """Execute once a second; tornado answers pings."""
    times = []
    begin = time.perf_counter() + offset
    for turn in range(seconds):
        await asyncio.sleep(max(0.0, begin + turn * EVERY - time.perf_counter()))
        content = {"code": "1", "silent": False}
        request = encode(message("shell", "execute_request", {}, content), v1=True)
        sent = time.perf_counter()
        await channel.write_message(request, binary=True)
        if await channel.read_message() is None:
            raise ConnectionError("a kernel's channels were closed under load")
        times.append(time.perf_counter() - sent)
    return times
