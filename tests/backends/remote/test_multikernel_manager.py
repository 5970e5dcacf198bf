"""Kernels over REST, against every gateway."""

from __future__ import annotations

import concurrent.futures
import contextlib
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from jupyter_client.manager import KernelManager

from ...support.intermediary import Intermediary
from ...support.odd_gateway import OddGateway
from ...support.recipes import TAKES_AN_ID, add_spec, assert_ends
from ...support.servers import STOP_PATIENCE, Farm, Server, wait_for
from ...support.shared_servers import SharedServers

LISTING = ("GET", "/api/kernels")
NO_KERNEL = "00000000-0000-0000-0000-000000000000"


def test_a_kernels_life(any_notebook: Server) -> None:
    answer = any_notebook.post("/api/kernels", {"name": "python3"})
    assert answer.status_code == 201, answer.text
    model = answer.json()
    assert {"id", "name", "last_activity", "execution_state", "connections"} <= model.keys()
    assert model["name"] == "python3"
    path = f"/api/kernels/{model['id']}"
    assert answer.headers["Location"] == path
    assert any_notebook.get(path).json()["id"] == model["id"]
    assert model["id"] in [k["id"] for k in any_notebook.get("/api/kernels").json()]
    assert any_notebook.post(f"{path}/interrupt").status_code == 204
    assert any_notebook.post(f"{path}/restart").json()["id"] == model["id"]
    assert any_notebook.request("DELETE", path).status_code == 204
    assert any_notebook.get(path).status_code == 404
    assert model["id"] not in [k["id"] for k in any_notebook.get("/api/kernels").json()]


def test_the_default_kernel_is_started_without_a_name(any_notebook: Server) -> None:
    for body in (None, {}, {"name": None}):
        answer = any_notebook.post("/api/kernels", body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["name"] == "python3"
        any_notebook.request("DELETE", f"/api/kernels/{answer.json()['id']}")


@pytest.mark.parametrize("action", ["", "/interrupt", "/restart"])
def test_an_unknown_kernel(notebook: Server, action: str) -> None:
    path = f"/api/kernels/{NO_KERNEL}{action}"
    answer = notebook.request("POST" if action else "GET", path)
    assert answer.status_code == 404
    assert NO_KERNEL in answer.json()["message"]


@pytest.mark.skipif(not TAKES_AN_ID, reason="jupyter_server before 2.20 ignores the id")
def test_the_id_may_be_chosen(notebook: Server) -> None:
    wanted = "11111111-2222-4333-8444-555555555555"
    with notebook.kernel(kernel_id=wanted) as kernel_id:
        assert kernel_id == wanted


@pytest.mark.parametrize(
    "words", ["no Route matched with those values", "Kernel does not exist: {}"]
)
def test_a_404_of_an_ingress_or_of_one_replica_ends_no_kernel(
    farm: Farm, shared: SharedServers, words: str
) -> None:
    """Gone is what the gateway itself says twice, some seconds apart; until then it is unknown."""
    wrong: list[bool] = []
    answered: list[bool] = []

    def answers(method: str, path: str) -> tuple[int, Any] | None:
        kernel_id = path.removeprefix("/api/kernels/")
        if path == kernel_id or method != "GET" or not wrong:
            return (403, {"message": "Forbidden"}) if (method, path) == LISTING else None
        answered.append(True)
        if "{}" in words and len(answered) % 2 == 0:
            return None  # the other replica
        return 404, {"message": words.format(kernel_id)}

    upstream = shared.gateway("jupyter-server")
    with OddGateway(answers, upstream) as gateway:
        env = {
            "JUPYTER_GATEWAY_WS_URL": "ws" + upstream.url.removeprefix("http"),
            "JUPYTER_GATEWAY_AUTH_TOKEN": upstream.token,
            "NOTEBOOK_REMOTE_POLL_INTERVAL": "0.3",
        }
        notebook = farm.notebook(gateway=gateway.url, env=env).start()
        with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
            channels.run("x = 5")
            wrong.append(True)
            kernel = f"/api/kernels/{kernel_id}"
            assert notebook.get(kernel).status_code in (424, 503)
            wait_for("more looks, and second looks", lambda: len(answered) > 20)
            (listed,) = notebook.get("/api/kernels").json()
            assert listed["id"] == kernel_id
            wrong.clear()
            assert channels.run("print(x)") == "5\n"  # the same connection
            wait_for("it to be known", lambda: notebook.get(kernel).status_code == 200)


def test_a_kernel_culled_on_the_gateway_is_noticed(notebook: Server, gateway: Server) -> None:
    """Within 15 seconds, the channels closed, and reported as gone (facts 11)."""
    kernel_id = notebook.start_kernel()
    with notebook.channels(kernel_id) as channels:
        channels.run("1")
        assert gateway.request("DELETE", f"/api/kernels/{kernel_id}").status_code == 204
        channels.ws.settimeout(15)
        assert_ends(channels)
    assert notebook.get(f"/api/kernels/{kernel_id}").status_code == 404
    assert notebook.get("/api/kernels").json() == []
    assert f"Kernel {kernel_id} is gone from its gateway" in notebook.log


def test_a_gateway_is_asked_no_more_often_than_at_the_interval(farm: Farm) -> None:
    """However many lists the pages want."""
    gateway = farm.gateway("jupyter-server").start()
    with Intermediary(urlsplit(gateway.url).port or 0) as link:
        env = {"JUPYTER_GATEWAY_URL": link.url, "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token}
        notebook = farm.notebook("--Gateway.poll_interval=60", env=env).start()
        kernel_id = notebook.start_kernel()
        for _ in range(5):
            assert [k["id"] for k in notebook.get("/api/kernels").json()] == [kernel_id]
            assert notebook.get("/api/sessions").json() == []
        assert link.to_gateway.count(b"GET /api/kernels HTTP") == 1
        other = notebook.start_kernel()  # what is started here is known at once
        assert len(notebook.get("/api/kernels").json()) == 2
        notebook.request("DELETE", f"/api/kernels/{other}")
        assert [k["id"] for k in notebook.get("/api/kernels").json()] == [kernel_id]
        notebook.stop()


def test_activity_is_the_gateways(notebook: Server, gateway: Server) -> None:
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        path = f"/api/kernels/{kernel_id}"
        before = notebook.get(path).json()["last_activity"]

        def active() -> bool:
            channels.run("1")  # jupyter_server before 2.20 may not hear a fresh kernel's first
            return bool(notebook.get(path).json()["last_activity"] > before)

        wait_for("activity", active)
        assert (
            notebook.get(path).json()["last_activity"] == gateway.get(path).json()["last_activity"]
        )


def test_kernels_of_others_are_not_ours(notebook: Server, gateway: Server) -> None:
    env = {"env": {"KERNEL_USERNAME": "bob"}} if "enterprise" in gateway.folder.parent.name else {}
    with gateway.kernel(name="python3", **env) as others:
        assert others not in [k["id"] for k in notebook.get("/api/kernels").json()]
        assert notebook.get(f"/api/kernels/{others}").status_code == 404
        assert notebook.request("DELETE", f"/api/kernels/{others}").status_code == 404
        assert gateway.get(f"/api/kernels/{others}").status_code == 200


def test_a_kernel_of_somebody_else_is_not_taken_over(farm: Farm, gateway: Server) -> None:
    notebook = farm.notebook(gateway=gateway, env={"KERNEL_USERNAME": "ada"}).start()
    others = gateway.start_kernel(name="python3", env={"KERNEL_USERNAME": "bob"})
    body = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"id": others}}
    expected = 409 if TAKES_AN_ID else 201
    assert notebook.post("/api/sessions", body).status_code == expected
    assert notebook.post("/api/kernels", {"kernel_id": others}).status_code == expected
    assert others not in [k["id"] for k in notebook.get("/api/kernels").json()]
    notebook.stop()
    assert gateway.get(f"/api/kernels/{others}").status_code == 200
    gateway.request("DELETE", f"/api/kernels/{others}")


@pytest.mark.skipif(not TAKES_AN_ID, reason="jupyter_server before 2.20 ignores the id")
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("jupyter-server", (), id="jupyter-server"),
        pytest.param(
            "kernel-gateway",
            ("--JupyterWebsocketPersonality.list_kernels=True",),
            id="kernel-gateway",
        ),
    ],
)
def test_a_start_without_an_answer_is_taken_back(
    farm: Farm, kind: str, options: tuple[str, ...]
) -> None:
    gateway = farm.gateway(kind, *options).start()
    env = {"JUPYTER_GATEWAY_REQUEST_TIMEOUT": "2"}
    notebook = farm.notebook(gateway=gateway, env=env).start()
    with notebook.kernel():
        pass
    gateway.signal(signal.SIGSTOP)
    try:
        assert notebook.post("/api/kernels", {"name": "python3"}).status_code == 503
    finally:
        gateway.signal(signal.SIGCONT)
    wait_for("the start", lambda: gateway.log.count("Kernel started") == 2)
    wait_for("the kernel to be taken back", lambda: gateway.get("/api/kernels").json() == [])
    assert notebook.get("/api/kernels").json() == []


def test_all_kernels_end_with_the_server(farm: Farm, gateway: Server) -> None:
    notebook = farm.notebook(gateway=gateway, env={"KERNEL_USERNAME": "ada"}).start()
    ids = [notebook.start_kernel() for _ in range(2)]
    notebook.stop(patience=STOP_PATIENCE)
    for kernel_id in ids:
        assert gateway.get(f"/api/kernels/{kernel_id}").status_code == 404


def environment_of(notebook: Server, **body: object) -> dict[str, str]:
    with notebook.kernel(**body) as kernel_id, notebook.channels(kernel_id) as channels:
        return dict(eval(channels.run("import os; print(dict(os.environ))")))


@pytest.mark.parametrize(
    "kind", ["kernel-gateway", pytest.param("enterprise-gateway", marks=pytest.mark.eg)]
)
def test_kernel_variables_are_sent(farm: Farm, kind: str) -> None:
    allow = {
        "kernel-gateway": "--JupyterWebsocketPersonality.env_whitelist=['DATA_SET']",
        "enterprise-gateway": "--EnterpriseGatewayApp.client_envs=['DATA_SET']",
    }
    gateway = farm.gateway(kind, allow[kind]).start()
    env = {
        "KERNEL_USERNAME": "ada",
        "KERNEL_COLOUR": "blue",
        "DATA_SET": "7",
        "OTHER": "secret",
        "JUPYTER_GATEWAY_ALLOWED_ENVS": "DATA_SET",
    }
    notebook = farm.notebook(gateway=gateway, env=env).start()
    found = environment_of(notebook)
    assert found["KERNEL_USERNAME"] == "ada"
    assert found["KERNEL_COLOUR"] == "blue"
    assert found["DATA_SET"] == "7"
    assert "OTHER" not in found
    assert notebook.get("/api/kernelspecs").status_code == 200  # with ?user=ada
    assert notebook.get("/api/kernelspecs/python3").status_code == 200  # facts 16


def test_without_kernel_variables_the_kernel_has_its_gateways(farm: Farm) -> None:
    """A Kernel Gateway that gets an env gives the kernel no HOME (facts, table of gateways)."""
    gateway = farm.gateway("kernel-gateway").start()
    notebook = farm.notebook(gateway=gateway).start()
    assert environment_of(notebook)["HOME"] == gateway.env["HOME"]


def test_environments_are_not_mixed_up(farm: Farm) -> None:
    """Starts with an env overlap on neither of the gateways that mix them up (facts 19)."""
    gateway = farm.gateway("kernel-gateway").start()
    notebooks = [
        farm.notebook(gateway=gateway, env={"KERNEL_USERNAME": "ada"}).start(),
    ]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        kernels = list(pool.map(lambda _: notebooks[0].start_kernel(), range(4)))
    for kernel_id in kernels:
        with notebooks[0].channels(kernel_id) as channels:
            assert channels.run("import os; print(os.environ['KERNEL_USERNAME'])") == "ada\n"


@pytest.mark.eg
def test_the_user_of_basic_authentication_is_the_kernels(farm: Farm) -> None:
    """GatewayClient.http_user is KERNEL_USERNAME for Enterprise Gateway, as upstream."""
    gateway = farm.gateway("enterprise-gateway", token="").start()
    notebook = farm.notebook(gateway=gateway.url, env={"JUPYTER_GATEWAY_HTTP_USER": "ada"}).start()
    assert environment_of(notebook)["KERNEL_USERNAME"] == "ada"


def test_the_working_directory_on_a_jupyter_server(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server").start()
    (gateway.folder / "sub").mkdir()
    notebook = farm.notebook(gateway=gateway).start()
    (notebook.folder / "sub").mkdir()
    (notebook.folder / "sub" / "a.ipynb").write_text("{}")
    body = {"path": "sub/a.ipynb", "type": "notebook", "name": "a.ipynb"}
    session = notebook.post("/api/sessions", body).json()
    with notebook.channels(session["kernel"]["id"]) as channels:
        assert channels.run("import os; print(os.getcwd())").strip() == str(gateway.folder / "sub")


def test_idle_kernels_are_culled_when_the_user_asks_for_it(farm: Farm, gateway: Server) -> None:
    notebook = farm.notebook(
        "--MappingKernelManager.cull_idle_timeout=2",
        "--MappingKernelManager.cull_interval=1",
        gateway=gateway,
        env={"KERNEL_USERNAME": "ada"},
    ).start()
    kernel_id = notebook.start_kernel()
    with notebook.channels(kernel_id) as channels:
        channels.run("1")
    wait_for("it to be culled", lambda: notebook.get("/api/kernels").json() == [])
    assert gateway.get(f"/api/kernels/{kernel_id}").status_code == 404
    assert "Traceback" not in notebook.log


def test_metrics_count_running_kernels(farm: Farm, gateway: Server) -> None:
    notebook = farm.notebook(gateway=gateway, env={"KERNEL_USERNAME": "ada"}).start()

    def running() -> float:
        lines = notebook.get("/metrics").text.splitlines()
        found = [x for x in lines if x.startswith('kernel_currently_running_total{type="python3"}')]
        return float(found[0].split()[-1]) if found else 0.0

    with notebook.kernel():
        assert running() == 1
    assert running() == 0


def test_a_gateway_under_a_path_with_capitals(farm: Farm, kind: str) -> None:
    """The stock client lower-cases the URL and replaces every "http" in it (facts 16)."""
    with contextlib.ExitStack() as stack:
        gateway = farm.gateway(kind, base_url="/Team-A/http-gw").start()
        notebook = farm.notebook(gateway=gateway, env={"KERNEL_USERNAME": "ada"}).start()
        kernel_id = stack.enter_context(notebook.kernel())
        channels = stack.enter_context(notebook.channels(kernel_id))
        assert channels.run("1") == "1"
        assert notebook.get("/api/kernelspecs").status_code == 200


def test_a_restart_that_fails_says_why(farm: Farm) -> None:
    notebook = farm.notebook("--mode=local")
    program = notebook.folder / "python"
    program.symlink_to(sys.executable)
    add_spec(notebook, "goes", str(program))
    notebook.start()
    with notebook.kernel(name="goes") as kernel_id:
        program.unlink()
        answer = notebook.post(f"/api/kernels/{kernel_id}/restart")
    assert answer.status_code == 500
    assert (
        f"could not be restarted ([Errno 2] No such file or directory: '{program}')"
        in (answer.json()["message"])
    )


@pytest.mark.skipif(
    not hasattr(KernelManager, "resolve_path"), reason="an older jupyter_client does not do it"
)
def test_the_path_of_a_traceback_is_resolved(shared: SharedServers, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.touch()
    for kind in ("embedded", "jupyter-server", "kernel-gateway"):
        notebook = shared.notebook(kind)
        with notebook.kernel() as kernel_id:
            query = urlencode({"path": str(file), "kernel": kernel_id})
            answer = notebook.get(f"/api/resolvePath?{query}")
            assert answer.status_code == 200, answer.text
            known = {entry["scope"]: entry["path"] for entry in answer.json()["resolved"]}
            assert known == ({} if kind == "kernel-gateway" else {"kernel": str(file)})
