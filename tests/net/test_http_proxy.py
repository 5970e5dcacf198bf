"""A gateway behind an HTTP proxy: requests, WebSockets, runs without a page, and the doctor."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from nbformat import v4

from notebook_remote.headless.manager import GatewayNotebookClient

from ..support.doctor import examined, good_for
from ..support.servers import Farm, Server, free_port, wait_for
from ..support.shared_servers import SharedServers

Tls = tuple[str, str, str]


class Proxy:
    """proxy.py, which asks for a user and password."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"localhost:{self.port}"
        self.url = f"http://ada:s%20esame@{self.address}"
        self._log = folder / "proxy.log"
        command = [sys.executable, "-m", "proxy", "--hostname=127.0.0.1", f"--port={self.port}"]
        options = ["--num-workers=1", "--num-acceptors=1", "--basic-auth=ada:s esame"]
        with self._log.open("w") as log:
            self.process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
        wait_for("the proxy", self._answers)

    def _answers(self) -> bool:
        try:
            return requests.get(f"http://{self.address}", timeout=5).status_code > 0
        except requests.ConnectionError:
            return False

    def passed(self, method: str, server: Server) -> bool:
        """Whether a connection for a server has gone through, with such a request."""
        port = server.url.rpartition(":")[2]
        lines = self._log.read_text().splitlines()
        return any(f"{method} " in line and f":{port}" in line for line in lines)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    proxy = Proxy(tmp_path_factory.mktemp("proxy"))
    yield proxy
    proxy.stop()


@pytest.fixture
def gateway(request: pytest.FixtureRequest, farm: Farm, tls: Tls) -> Server:
    return farm.gateway("jupyter-server", tls=tls if request.param == "https" else None).start()


BOTH = pytest.mark.parametrize("gateway", ["http", "https"], indirect=True)


def test_the_kernel_goes_through_it_at_the_end_of_a_program(
    shared: SharedServers, farm: Farm, proxy: Proxy
) -> None:
    gateway = shared.gateway("jupyter-server")
    env = farm.env("user", NOTEBOOK_REMOTE_PROXY=proxy.url, JUPYTER_GATEWAY_URL=gateway.url)
    env["JUPYTER_GATEWAY_AUTH_TOKEN"] = gateway.token
    script = (
        "from notebook_remote.headless import BlockingGatewayKernelManager as Manager\n"
        "manager = Manager(kernel_name='python3')\nmanager.start_kernel()"
    )
    subprocess.run([sys.executable, "-c", script], env=env, check=True, timeout=60)
    wait_for("the request in its log", lambda: proxy.passed("DELETE", gateway))


@BOTH
def test_requests_and_websockets_go_through_it(
    farm: Farm, gateway: Server, proxy: Proxy, tls: Tls
) -> None:
    notebook = farm.notebook(
        f"--Gateway.proxy={proxy.url}", f"--Gateway.ca_certs={tls[0]}", gateway=gateway
    ).start()
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        assert channels.run(f"print(len({'x' * 100_000!r}))").strip() == "100000"
    notebook.stop()  # a connection is logged at its end, with its first request
    wait_for("the WebSocket in its log", lambda: proxy.passed("CONNECT", gateway))
    if gateway.url.startswith("http:"):
        assert proxy.passed("GET", gateway)
    assert "esame" not in notebook.log


@BOTH
def test_runs_and_the_doctor_go_through_it(
    gateway: Server, proxy: Proxy, tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTEBOOK_REMOTE_PROXY", proxy.url)
    monkeypatch.setenv("JUPYTER_GATEWAY_URL", gateway.url)
    monkeypatch.setenv("JUPYTER_GATEWAY_AUTH_TOKEN", gateway.token)
    monkeypatch.setenv("JUPYTER_GATEWAY_CA_CERTS", tls[0])
    notebook = v4.new_notebook(cells=[v4.new_code_cell("6 * 7")])
    GatewayNotebookClient(notebook).execute()
    assert notebook.cells[0].outputs[0].data["text/plain"] == "42"
    found = examined(good_for(gateway, proxy=proxy.url, ca_certs=tls[0]), "s esame")
    assert not found.of("fail"), found
    assert "proxy" in found["name"].text


@pytest.mark.parametrize("gateway", ["https"], indirect=True)
@pytest.mark.parametrize(
    ("there", "words"),
    [
        ("http://ada:geheim@{}", "does not let us through to https://localhost"),
        ("http://localhost:1", "There is no proxy at http://localhost:1"),
    ],
)
def test_what_is_wrong_with_it_is_said(
    farm: Farm, gateway: Server, proxy: Proxy, tls: Tls, there: str, words: str
) -> None:
    notebook = farm.notebook(
        f"--Gateway.proxy={there.format(proxy.address)}",
        f"--Gateway.ca_certs={tls[0]}",
        gateway=gateway,
    ).start()
    answer = notebook.post("/api/kernels", {"name": "python3"})
    assert answer.status_code == 503
    assert words in answer.json()["message"]
    assert "geheim" not in notebook.log + answer.text


def test_a_proxy_that_is_none(farm: Farm, shared: SharedServers) -> None:
    notebook = farm.notebook(
        "--Gateway.proxy=socks5://u:geheim@localhost:1080",
        gateway=shared.gateway("jupyter-server"),
    ).start(wait=False)
    assert notebook.process is not None
    assert notebook.process.wait(40) == 1
    assert "Gateway.proxy is not the URL of an HTTP proxy" in notebook.log
    assert "geheim" not in notebook.log
