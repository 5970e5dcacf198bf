"""What a user is told, and how soon, when something is wrong with the gateway."""

from __future__ import annotations

import re
import signal
import socket
import time
from pathlib import Path

import pytest

from ..support.servers import STOP_PATIENCE, Farm, Server, free_port, wait_for
from ..support.shared_servers import SharedServers

SOON = 20.0  # seconds: "in seconds and not in minutes", with room for a busy machine


@pytest.fixture
def silent_port() -> int:
    """A port that accepts connections and says nothing."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(50)
        yield sock.getsockname()[1]


def told(notebook: Server, status: int, *words: str) -> str:
    """Ask for kernelspecs and for a session; both answer with this status and these words, soon."""
    began = time.monotonic()
    answers = [
        notebook.get("/api/kernelspecs"),
        notebook.post("/api/sessions", {"path": "a.ipynb", "type": "notebook", "name": "a"}),
        notebook.post("/api/kernels", {"name": "python3"}),
    ]
    assert time.monotonic() - began < SOON * len(answers)
    for answer in answers:
        assert answer.status_code == status, answer.text
        message = answer.json()["message"]
        for word in words:
            assert word in message, message
        assert "%" not in message
        assert message in notebook.log
    assert "Traceback" not in notebook.log
    assert "User-Agent" not in notebook.log  # no headers: the sentence says it all
    return str(message)


def test_nothing_listens(farm: Farm) -> None:
    port = free_port()
    option = "--ServerApp.websocket_compression_options={}"
    notebook = farm.notebook(option, gateway=f"http://localhost:{port}").start()
    told(notebook, 503, f"http://localhost:{port}", "connection refused", "start the gateway")
    assert notebook.log.count("websocket_compression_options is used for") == 1
    notebook.stop()
    assert "Not shut down" not in notebook.log  # no start has reached a gateway


def test_the_host_does_not_resolve(farm: Farm) -> None:
    notebook = farm.notebook(gateway="http://no-such-host.invalid:8888").start()
    told(notebook, 503, "'no-such-host.invalid'", "cannot be resolved", "spelling")


def test_nothing_answers(farm: Farm, silent_port: int) -> None:
    env = {"JUPYTER_GATEWAY_REQUEST_TIMEOUT": "1"}
    notebook = farm.notebook(gateway=f"http://localhost:{silent_port}", env=env).start()
    told(notebook, 503, "did not answer in time", "firewall")


def test_the_token_is_wrong(farm: Farm, gateway: Server) -> None:
    env = {"JUPYTER_GATEWAY_AUTH_TOKEN": "wrong-secret"}
    notebook = farm.notebook(gateway=gateway, env=env).start()
    told(notebook, 424, "refused our token", "JUPYTER_GATEWAY_AUTH_TOKEN")
    assert "wrong-secret" not in notebook.log


def test_there_is_no_token(farm: Farm, gateway: Server) -> None:
    notebook = farm.notebook(gateway=gateway.url).start()
    told(notebook, 424, "wants a token and got none", "--gateway-token-file")


def test_the_url_is_not_a_gateways(farm: Farm) -> None:
    other = farm.gateway("jupyter-server", base_url="/right/").start()
    wrong = other.url.replace("/right", "/wrong")
    notebook = farm.notebook(gateway=wrong, env={"JUPYTER_GATEWAY_AUTH_TOKEN": "x"}).start()
    told(notebook, 424, "does not answer", "path prefix")


def test_the_gateway_speaks_tls_and_the_url_does_not(farm: Farm, tls: tuple[str, str, str]) -> None:
    gateway = farm.gateway("jupyter-server", tls=tls).start()
    notebook = farm.notebook(gateway=gateway.url.replace("https", "http")).start()
    told(notebook, 503, "speaks TLS", "write https:// in place of http://")


def test_the_url_speaks_tls_and_the_gateway_does_not(farm: Farm, shared: SharedServers) -> None:
    url = shared.gateway("jupyter-server").url.replace("http", "https")
    notebook = farm.notebook(gateway=url, env={"JUPYTER_GATEWAY_CONNECT_TIMEOUT": "1"}).start()
    told(notebook, 503, "speaks HTTP without TLS", "write http:// in place of https://")


def test_the_certificate_is_not_trusted(farm: Farm, tls: tuple[str, str, str]) -> None:
    gateway = farm.gateway("jupyter-server", tls=tls).start()
    notebook = farm.notebook(gateway=gateway).start()
    told(notebook, 503, "is not trusted", "--Gateway.ca_certs")


@pytest.mark.parametrize("setting", [("CA_CERTS", ""), ("VALIDATE_CERT", "False")])
def test_a_private_authority_or_none(
    farm: Farm, tls: tuple[str, str, str], setting: tuple[str, str]
) -> None:
    """ca_certs works without a client certificate, and False however it is spelled (facts 16)."""
    gateway = farm.gateway("jupyter-server", tls=tls).start()
    name, value = setting
    env = {f"JUPYTER_GATEWAY_{name}": value or tls[0]}
    notebook = farm.notebook(gateway=gateway, env=env).start()
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        assert channels.run("1") == "1"


def test_a_client_certificate(farm: Farm, tls: tuple[str, str, str], tmp_path: Path) -> None:
    gateway = farm.gateway("kernel-gateway", f"--KernelGatewayApp.client_ca={tls[0]}", tls=tls)
    gateway.start(wait=False)
    without = farm.notebook(gateway=gateway, env={"JUPYTER_GATEWAY_CA_CERTS": tls[0]}).start()
    wait_for("the gateway", lambda: "127.0.0.1" in gateway.log)
    wait_for("a refusal", lambda: "client certificate" in without.get("/api/kernelspecs").text)
    env = {
        "JUPYTER_GATEWAY_CA_CERTS": tls[0],
        "JUPYTER_GATEWAY_CLIENT_CERT": tls[1],
        "JUPYTER_GATEWAY_CLIENT_KEY": tls[2],
    }
    notebook = farm.notebook(gateway=gateway, env=env).start()
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        assert channels.run("1") == "1"


def test_an_unknown_kernelspec(notebook: Server) -> None:
    for path, status in (("/api/kernels", 501), ("/api/sessions", 501)):
        body = {
            "name": "nosuch",
            "path": "a.ipynb",
            "type": "notebook",
            "kernel": {"name": "nosuch"},
        }
        answer = notebook.post(path, body)
        assert answer.status_code == status, answer.text
        assert "nosuch" in answer.json()["message"]
    assert notebook.get("/api/kernelspecs/nosuch").status_code == 404
    assert notebook.get("/api/sessions").json() == []


def test_a_kernel_that_does_not_start(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server")
    folder = Path(gateway.env["JUPYTER_DATA_DIR"]) / "kernels" / "broken"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        '{"argv": ["/no/such/program"], "display_name": "Broken", "language": "none"}'
    )
    notebook = farm.notebook(gateway=gateway.start()).start()
    answer = notebook.post("/api/kernels", {"name": "broken"})
    assert answer.status_code == 502, answer.text
    assert "'broken' could not be started by the gateway" in answer.json()["message"]
    assert "log has the details" in answer.json()["message"]


@pytest.mark.parametrize(
    ("limited", "option"),
    [
        ("kernel-gateway", "--KernelGatewayApp.max_kernels=1"),
        pytest.param(
            "enterprise-gateway", "--EnterpriseGatewayApp.max_kernels=1", marks=pytest.mark.eg
        ),
        pytest.param(
            "enterprise-gateway",
            "--EnterpriseGatewayApp.max_kernels_per_user=1",
            marks=pytest.mark.eg,
        ),
    ],
)
def test_the_limit_of_kernels_is_reached(farm: Farm, limited: str, option: str) -> None:
    gateway = farm.gateway(limited, option).start()
    notebook = farm.notebook(gateway=gateway, env={"KERNEL_USERNAME": "ada"}).start()
    with notebook.kernel():
        answer = notebook.post("/api/kernels", {"name": "python3"})
        assert answer.status_code == 429, answer.text
        assert "shut down one" in answer.json()["message"]


@pytest.mark.eg
def test_a_user_who_may_not_start_kernels(farm: Farm) -> None:
    gateway = farm.gateway(
        "enterprise-gateway", "--EnterpriseGatewayApp.unauthorized_users={'eve'}"
    ).start()
    notebook = farm.notebook(gateway=gateway, env={"KERNEL_USERNAME": "eve"}).start()
    answer = notebook.post("/api/kernels", {"name": "python3"})
    assert answer.status_code in (403, 502), answer.text
    assert "not authorized" in answer.json()["message"]


def test_an_unreachable_gateway_does_not_end_a_kernel(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server").start()
    notebook = farm.notebook(gateway=gateway).start()
    body = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "python3"}}
    session = notebook.post("/api/sessions", body).json()
    kernel_id = session["kernel"]["id"]
    gateway.kill()
    assert notebook.get(f"/api/kernels/{kernel_id}").status_code == 503

    def states() -> list[str]:
        (kernel,) = notebook.get("/api/kernels").json()
        (listed,) = notebook.get("/api/sessions").json()
        return [kernel["execution_state"], listed["kernel"]["execution_state"]]

    wait_for("it to be unknown", lambda: states() == ["unknown", "unknown"])
    assert notebook.post(f"/api/kernels/{kernel_id}/interrupt").status_code == 503
    assert notebook.request("DELETE", f"/api/sessions/{session['id']}").status_code == 503
    wait_for("one line in the log", lambda: "The gateway cannot be used" in notebook.log)
    gateway.start()  # a new process, which does not have the kernel
    wait_for("the kernel to be gone", lambda: notebook.get("/api/kernels").json() == [])
    assert notebook.get(f"/api/kernels/{kernel_id}").status_code == 404
    assert notebook.get("/api/sessions").json() == []
    wait_for("a line when it is back", lambda: "can be used again" in notebook.log)


def test_files_can_be_edited_while_the_gateway_is_down_and_it_recovers(farm: Farm) -> None:
    port = free_port()
    gateway = farm.gateway("kernel-gateway", port=port)
    notebook = farm.notebook(gateway=gateway).start()
    assert notebook.get("/api/kernelspecs").status_code == 503
    assert notebook.get("/api/kernels").json() == []
    body = {"type": "file", "format": "text", "content": "hello"}
    assert notebook.request("PUT", "/api/contents/a.txt", json=body).status_code == 201
    gateway.start()
    assert notebook.get("/api/kernelspecs").status_code == 200
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        assert channels.run("1") == "1"


@pytest.mark.parametrize("how", ["refused", "silent"])
def test_it_stops_at_once_while_the_gateway_is_away(farm: Farm, how: str) -> None:
    gateway = farm.gateway("jupyter-server").start()
    notebook = farm.notebook(gateway=gateway).start()
    kernel_id = notebook.start_kernel()
    if how == "refused":
        gateway.kill()
    else:
        gateway.signal(signal.SIGSTOP)
    try:
        notebook.stop(patience=STOP_PATIENCE)
    finally:
        if how == "silent":
            gateway.signal(signal.SIGCONT)
    assert re.search(rf"Not shut down.*{kernel_id}", notebook.log)
    assert "Traceback" not in notebook.log
