"""The server is killed at random points, again and again: nothing may be lost, nothing orphaned."""

from __future__ import annotations

import random
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from ..support.recipes import TAKES_AN_ID, light_kernel, several
from ..support.servers import Farm, Server, wait_for

CRASHES = 50
FIRST_STEPS = 0.02  # seconds
ALL_STEPS = 1.0  # seconds within which the server is killed


class Client(threading.Thread):
    """Somebody who opens, moves and closes notebooks until the server is no more."""

    def __init__(self, notebook: Server, names: list[str], seed: int) -> None:
        super().__init__()
        self.notebook, self.names = notebook, names
        self.random = random.Random(seed)
        self.seed = seed
        self.open: dict[str, tuple[str, str]] = {}  # session: path and kernel, as confirmed
        self.closed: set[str] = set()
        self.unsure: set[str] = set()  # what was under way when the server died

    def run(self) -> None:
        count = 0
        while True:
            count += 1
            try:
                if len(self.open) < 3 or self.random.random() < 0.5:
                    self._open(f"{self.seed}-{count}.ipynb")
                elif self.random.random() < 0.5:
                    self._move(f"{self.seed}-{count}-moved.ipynb")
                else:
                    self._close()
            except requests.ConnectionError:
                return

    def _open(self, path: str) -> None:
        kernel = {"name": self.random.choice(self.names)}
        body = {"path": path, "name": path, "type": "notebook", "kernel": kernel}
        answer = self.notebook.post("/api/sessions", body)
        if answer.status_code == 201:
            model = answer.json()
            self.open[model["id"]] = (path, model["kernel"]["id"])

    def _move(self, path: str) -> None:
        session_id = self.random.choice(sorted(self.open))
        self.unsure.add(session_id)
        answer = self.notebook.request("PATCH", f"/api/sessions/{session_id}", json={"path": path})
        assert answer.ok, answer.text
        self.open[session_id] = (path, self.open[session_id][1])
        self.unsure.discard(session_id)

    def _close(self) -> None:
        session_id = self.random.choice(sorted(self.open))
        self.unsure.add(session_id)
        answer = self.notebook.request("DELETE", f"/api/sessions/{session_id}")
        assert answer.status_code == 204, answer.text
        del self.open[session_id]
        self.closed.add(session_id)
        self.unsure.discard(session_id)


def kernels_of(gateways: dict[str, Server]) -> set[str]:
    listed = (gateway.get("/api/kernels").json() for gateway in gateways.values())
    return {kernel["id"] for kernels in listed for kernel in kernels}


def state(notebook: Server) -> tuple[dict[str, tuple[str, str]], set[str]]:
    """The sessions, and the ids of all kernels that are ours."""
    sessions = {
        s["id"]: (s["path"], s["kernel"]["id"]) for s in notebook.get("/api/sessions").json()
    }
    ours = notebook.get("/notebook-remote/api/kernels").json()["kernels"]
    return sessions, {kernel["id"] for kernel in ours}


@pytest.mark.skipif(not TAKES_AN_ID, reason="jupyter_server before 2.20 ignores the id")
@pytest.mark.outages
@pytest.mark.timeout(900)
def test_nothing_is_lost_in_fifty_crashes(farm: Farm, tmp_path: Path) -> None:
    env = light_kernel(tmp_path)
    quick = "--KernelManager.shutdown_wait_time=0.1"
    listed = "--JupyterWebsocketPersonality.list_kernels=True"
    gateways = {
        "js": farm.gateway("jupyter-server", quick, env=env).start(),
        "jkg": farm.gateway("kernel-gateway", quick, listed, env=env).start(),
        "jkg2": farm.gateway("kernel-gateway", quick, listed, env=env).start(),
    }
    options = (
        "--Gateways.own_kernels=False",
        "--Gateway.poll_interval=0.2",
        # A start that was noted and never sent is waited for as long as this.
        "--Gateway.kernel_start_timeout=10",
    )
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    notebook = several(farm, *options, **gateways).start()
    expected: dict[str, Any] = {}
    for crash in range(CRASHES):
        where = f"in crash {crash} of seed {seed}"
        client = Client(notebook, [f"light@{name}" for name in gateways], seed + crash)
        client.open = expected
        client.start()
        threading.Event().wait(chance.uniform(FIRST_STEPS, ALL_STEPS))  # when it crashes
        notebook.kill()
        client.join()
        notebook.start()

        def settled() -> bool:
            """Whether every kernel on the gateways is ours, and ours are all there."""
            return state(notebook)[1] == kernels_of(gateways)

        wait_for(f"every kernel to be known, {where}: {state(notebook)}", settled)
        sessions, _ = state(notebook)
        for session_id, told in client.open.items():
            if session_id not in client.unsure:
                assert sessions.get(session_id) == told, where
        assert not client.closed & sessions.keys(), where
        expected = sessions
        if len(expected) > 12:
            for session_id in sorted(expected)[:6]:
                notebook.request("DELETE", f"/api/sessions/{session_id}")
                del expected[session_id]
    assert len(list((notebook.folder.parent / "home").rglob("sessions-*.sqlite"))) == 1
    notebook.stop()
    assert kernels_of(gateways) == set()
