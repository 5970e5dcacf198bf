"""Many kernels through one server at once: tail latency and memory."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid

from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.support.servers import Server

from .meter import Meter
from .servers import NGINX, benchmark_servers
from .synthetic_gateway import V1, encode, message
from .workload import Measurements, Workload

CONCURRENT_OPENS = 10
SETTLE_TIME = 2.0  # seconds before memory is measured and the load begins
INTERVAL = 1.0  # seconds between two executions on a kernel
TIMEOUT = 60.0  # seconds in addition to the duration of the load


def scale(workload: Workload) -> Measurements:
    """Latency with one execution a second on each of many kernels, and memory of idle channels."""
    measurements = Measurements({"scale": {}, "scale-median": {}, "scale-memory": {}})
    with benchmark_servers() as servers:
        gateway = servers.synthetic().start()
        # By default, Kernel Gateway and Enterprise Gateway refuse to list their kernels.
        gateway_without_list = servers.synthetic("--no-listing").start()
        peers = {
            "direct": gateway,
            "ours": servers.ours(gateway=gateway).start(),
            "ours: no listing": servers.ours(gateway=gateway_without_list).start(),
        }
        if NGINX:
            peers["nginx"] = servers.nginx(gateway).start()
        for peer, server in peers.items():
            kernels = [server.start_kernel() for _ in range(workload.channels)]
            times, memory = asyncio.run(_load(server, kernels, workload.scale_seconds))
            measurements.figures["scale"][peer] = 1e3 * statistics.quantiles(times, n=100)[98]
            measurements.figures["scale-median"][peer] = 1e3 * statistics.median(times)
            if peer != "direct":
                measurements.figures["scale-memory"][peer] = memory / 1e3
            # Each server has the machine to itself. All of them need the gateway.
            if server is not gateway:
                server.stop()
    return measurements


async def _load(server: Server, kernels: list[str], seconds: int) -> tuple[list[float], float]:
    """Return the seconds that each reply took, and the bytes for each kernel's open channels."""
    meter = Meter(server)
    before = meter.resident()
    limit = asyncio.Semaphore(CONCURRENT_OPENS)

    async def open_one(kernel_id: str) -> WebSocketClientConnection:
        async with limit:
            return await _open(server, kernel_id)

    channels = await asyncio.gather(*map(open_one, kernels))
    await asyncio.sleep(SETTLE_TIME)
    memory = (meter.resident() - before) / len(kernels)
    # The kernels start at different moments within the interval.
    loads = [
        _execute_repeatedly(channel, INTERVAL * position / len(channels), seconds)
        for position, channel in enumerate(channels)
    ]
    times = await asyncio.wait_for(asyncio.gather(*loads), seconds + TIMEOUT)
    for channel in channels:
        channel.close()
    return [one for each in times for one in each], memory


async def _open(server: Server, kernel_id: str) -> WebSocketClientConnection:
    url = f"ws{server.url.removeprefix('http')}/api/kernels/{kernel_id}/channels"
    request = HTTPRequest(
        f"{url}?session_id={uuid.uuid4().hex}",
        headers={"Authorization": f"token {server.token}"},
        request_timeout=TIMEOUT,
    )
    return await websocket_connect(request, subprotocols=[V1])


async def _execute_repeatedly(
    channel: WebSocketClientConnection, offset: float, seconds: int
) -> list[float]:
    """Send one execution a second; tornado answers pings."""
    times = []
    begin = time.perf_counter() + offset
    for turn in range(seconds):
        await asyncio.sleep(max(0.0, begin + turn * INTERVAL - time.perf_counter()))
        content = {"code": "1", "silent": False}
        request = encode(message("shell", "execute_request", {}, content), v1=True)
        sent = time.perf_counter()
        await channel.write_message(request, binary=True)
        if await channel.read_message() is None:
            raise ConnectionError("a kernel's channels were closed under load")
        times.append(time.perf_counter() - sent)
    return times
