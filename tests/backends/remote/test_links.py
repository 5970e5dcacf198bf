"""The state of the links, as our REST API, the events and the metrics tell it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import websocket

from ...support.intermediary import Intermediary
from ...support.servers import PATIENCE, Channels, Farm, Server, wait_for

LINK_EVENT = "https://events.jupyter.org/notebook_remote/link/v1"


def links(notebook: Server) -> list[dict[str, Any]]:
    response = notebook.get("/notebook-remote/api/links")
    assert response.status_code == 200, response.text
    return list(response.json())


def metric(notebook: Server, name: str) -> float:
    """The value of a metric, with its labels as Prometheus writes them; 0 before it is counted."""
    for line in notebook.get("/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return 0.0


class Events:
    """What jupyter_server tells its pages about links."""

    def __init__(self, server: Server) -> None:
        url = "ws" + server.url.removeprefix("http") + "/api/events/subscribe"
        header = [f"Authorization: token {server.token}"]
        self.ws = websocket.create_connection(url, header=header, timeout=PATIENCE)

    def __enter__(self) -> Iterator[dict[str, Any]]:
        return iter(self)

    def __exit__(self, *args: object) -> None:
        self.ws.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            event = json.loads(self.ws.recv())
            if event["schema_id"] == LINK_EVENT:
                yield event


@pytest.fixture
def over_a_link(farm: Farm) -> Iterator[tuple[Server, Intermediary]]:
    gateway = farm.gateway("jupyter-server").start()
    port = int(gateway.url.rpartition(":")[2])
    with Intermediary(port) as intermediary:
        env = {
            "JUPYTER_GATEWAY_URL": intermediary.url,
            "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token,
            "JUPYTER_GATEWAY_RETRY_MAX": "1",
            "JUPYTER_GATEWAY_RETRY_INTERVAL": "0.1",
            "NOTEBOOK_REMOTE_LINK_TIMEOUT": "2",
        }
        yield farm.notebook(env=env).start(), intermediary


def reads(channels: Channels) -> None:
    """Read until the server says that a ping of its own was answered: reading answers it."""
    channels.ws.settimeout(0.2)
    with pytest.raises(websocket.WebSocketTimeoutException):  # noqa: PT012 - nothing else comes
        while True:
            channels.receive()
    channels.ws.settimeout(PATIENCE)


def test_a_link_from_its_beginning_to_its_end(
    over_a_link: tuple[Server, Intermediary],
) -> None:
    notebook, intermediary = over_a_link
    with Events(notebook) as events:
        _live(notebook, intermediary, events)


def _live(notebook: Server, intermediary: Intermediary, events: Iterator[dict[str, Any]]) -> None:
    kernel_id = notebook.start_kernel()
    channels = notebook.channels(kernel_id)
    channels.run("1")

    def measured() -> dict[str, Any] | None:
        reads(channels)
        [link] = links(notebook)
        return link if None not in link["round_trip_time"].values() else None

    link = wait_for("round trips", measured)
    assert (link["kernel_id"], link["backend"]) == (kernel_id, "gateway")
    assert link["session_id"] == channels.session_id
    assert (link["state"], link["reconnects"], link["last_error"]) == ("connected", 0, None)
    assert link["from_browser"]["frames"] >= 1
    assert link["from_gateway"]["bytes"] > 500
    assert {"attempt": 1, "attempts": 2}.items() <= next(events).items()
    assert next(events)["state"] == "connected"

    intermediary.cut()
    lost = next(events)
    channels.close()
    assert (lost["state"], lost["kernel_id"]) == ("lost", kernel_id)
    assert lost["session_id"] == channels.session_id
    assert lost["error"] == "the gateway closed the connection"
    [link] = links(notebook)
    assert link["state"] == "lost"

    with notebook.channels(kernel_id, session_id=channels.session_id) as again:
        again.run("1")
        [link] = links(notebook)
        assert (link["state"], link["reconnects"], link["last_error"]) == ("connected", 1, None)
        assert link["from_gateway"]["bytes"] > 1000  # of both connections
    wait_for("the link to be gone with its page", lambda: links(notebook) == [])
    assert [next(events)["state"] for _ in range(3)] == ["connecting", "connected", "closed"]


def test_attempts_that_fail_are_told(over_a_link: tuple[Server, Intermediary]) -> None:
    notebook, intermediary = over_a_link
    kernel_id = notebook.start_kernel()
    with Events(notebook) as events:
        intermediary.refuse()
        with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
            notebook.channels(kernel_id)
        emitted = [next(events) for _ in range(3)]
    assert [e["state"] for e in emitted] == ["connecting", "connecting", "lost"]
    assert [e.get("attempt") for e in emitted] == [1, 2, None]
    assert "connection refused" in emitted[2]["error"]
    [link] = links(notebook)
    assert (link["state"], link["last_error"]) == ("lost", emitted[2]["error"])
    assert metric(notebook, 'notebook_remote_errors_total{kind="GatewayUnreachable"}') == 1


def test_metrics_are_next_to_the_stock_ones(over_a_link: tuple[Server, Intermediary]) -> None:
    notebook, intermediary = over_a_link
    kernel_id = notebook.start_kernel()
    with notebook.channels(kernel_id) as channels:
        channels.run("1")
        assert metric(notebook, "notebook_remote_open_channels") == 1
        wait_for(
            "the frames to be counted",
            lambda: (
                reads(channels),
                metric(notebook, 'notebook_remote_relayed_frames_total{direction="from_gateway"}')
                > 3,
            )[1],
        )
        trips = 'notebook_remote_round_trip_seconds_count{leg="gateway"}'
        wait_for("round trips", lambda: (reads(channels), metric(notebook, trips))[1])
        intermediary.cut()
        wait_for("the loss", lambda: metric(notebook, "notebook_remote_open_channels") == 0)
    with notebook.channels(kernel_id, session_id=channels.session_id) as again:
        again.run("1")
    assert metric(notebook, "notebook_remote_reconnects_total") == 1
    assert metric(notebook, 'notebook_remote_errors_total{kind="gateway_closed"}') == 1
    assert metric(notebook, 'notebook_remote_relayed_bytes_total{direction="from_browser"}') > 500
    text = notebook.get("/metrics").text
    assert "http_request_duration_seconds" in text
    assert kernel_id not in text


def test_the_links_of_a_kernel_end_with_it(notebook: Server) -> None:
    kernel_id = notebook.start_kernel()
    channels = notebook.channels(kernel_id)
    notebook.request("DELETE", f"/api/kernels/{kernel_id}")
    wait_for("no link", lambda: kernel_id not in [link["kernel_id"] for link in links(notebook)])
    channels.close()


def test_links_are_for_those_who_may(notebook: Server) -> None:
    response = requests.get(f"{notebook.url}/notebook-remote/api/links", timeout=PATIENCE)
    assert response.status_code == 403
