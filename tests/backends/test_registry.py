"""Local kernels and several gateways in one server: real ones, of each kind, at once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from traitlets import TraitError
from traitlets.config import Config

from notebook_remote.config.named import Gateways
from notebook_remote.kernelspec_names import unique_names

from ..support.intermediary import Intermediary
from ..support.recipes import new_session, run, several, specs
from ..support.servers import Farm, Server, children, wait_for


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Kernels of this computer beside two gateways of different kinds."""
    farm = Farm(tmp_path_factory.mktemp("several"))
    js = farm.gateway("jupyter-server").start()
    jkg = farm.gateway("kernel-gateway").start()
    yield several(farm, "--mode=local", js=js, jkg=jkg).start()
    farm.close()


def runs_in(notebook: Server, kernel_id: str) -> int:
    with notebook.channels(kernel_id) as channels:
        return int(channels.run("import os; print(os.getpid())"))


def test_names_that_several_have_are_told_apart() -> None:
    names = unique_names({"local": ["python3", "r"], "gpu": ["python3", "cuda"]})
    assert names == {
        ("local", "python3"): "python3@local",
        ("local", "r"): "r",
        ("gpu", "python3"): "python3@gpu",
        ("gpu", "cuda"): "cuda",
    }
    assert unique_names({"gpu": ["python3"]}) == {("gpu", "python3"): "python3"}


def test_one_list_of_kernelspecs_says_where_each_runs(notebook: Server) -> None:
    answer = notebook.get("/api/kernelspecs").json()
    assert answer["default"] == "python3@local"
    assert set(answer["kernelspecs"]) == {"python3@local", "python3@js", "python3@jkg"}
    for name, model in answer["kernelspecs"].items():
        assert model["name"] == name
        where = name.partition("@")[2].replace("local", "This computer")
        assert model["spec"]["display_name"].endswith(f" · {where}")
        one = notebook.get(f"/api/kernelspecs/{quote(name)}")
        assert one.json()["spec"] == model["spec"]
        logo = notebook.get(model["resources"]["logo-64x64"])
        assert logo.content.startswith(b"\x89PNG"), logo.text


@pytest.mark.parametrize("where", ["local", "js", "jkg"])
def test_a_kernel_runs_where_its_kernelspec_says(notebook: Server, where: str) -> None:
    kernel_id = notebook.start_kernel(name=f"python3@{where}")
    model = notebook.get(f"/api/kernels/{kernel_id}").json()
    assert (model["backend"], model["name"]) == (where, f"python3@{where}")
    listed = {kernel["id"]: kernel for kernel in notebook.get("/api/kernels").json()}
    assert listed[kernel_id]["backend"] == where
    assert (runs_in(notebook, kernel_id) in children(notebook.pid)) == (where == "local")
    assert notebook.post(f"/api/kernels/{kernel_id}/interrupt").status_code == 204
    assert notebook.post(f"/api/kernels/{kernel_id}/restart").status_code == 200
    assert notebook.request("DELETE", f"/api/kernels/{kernel_id}").status_code == 204
    assert notebook.get(f"/api/kernels/{kernel_id}").status_code == 404


def test_a_session_moves_from_one_backend_to_another(notebook: Server) -> None:
    session = new_session(notebook, "moves.ipynb", "python3@jkg")
    path = f"/api/sessions/{session['id']}"
    moved = notebook.request("PATCH", path, json={"kernel": {"name": "python3@local"}}).json()
    assert moved["kernel"]["backend"] == "local"
    assert notebook.get(f"/api/kernels/{session['kernel']['id']}").status_code == 404
    assert notebook.request("DELETE", path).status_code == 204


def saved(notebook: Server, path: str) -> dict[str, Any]:
    """What stands in the file."""
    return dict(json.loads((notebook.folder / path).read_text())["metadata"]["kernelspec"])


def save(notebook: Server, path: str, kernelspec: dict[str, str]) -> None:
    content = {"cells": [], "metadata": {"kernelspec": kernelspec}, "nbformat": 4}
    body = {"type": "notebook", "content": {**content, "nbformat_minor": 5}}
    answer = notebook.request("PUT", f"/api/contents/{path}", json=body)
    assert answer.status_code in (200, 201), answer.text


def opened(notebook: Server, path: str) -> dict[str, Any]:
    """What a page gets."""
    model = notebook.get(f"/api/contents/{path}?type=notebook").json()
    return dict(model["content"]["metadata"]["kernelspec"])


def test_files_are_free_of_our_names_and_open_where_they_ran(notebook: Server) -> None:
    listed = specs(notebook)
    shown = {"name": "python3@js", "display_name": listed["python3@js"]["spec"]["display_name"]}
    save(notebook, "a.ipynb", shown)
    own = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    assert saved(notebook, "a.ipynb") == own
    # Not asked for yet, and several have it: the page is to ask its user.
    assert opened(notebook, "a.ipynb") == own
    session = new_session(notebook, "a.ipynb", "python3@js")
    assert opened(notebook, "a.ipynb") == shown
    notebook.request("DELETE", f"/api/sessions/{session['id']}")
    assert opened(notebook, "a.ipynb") == shown
    renamed = notebook.request("PATCH", "/api/contents/a.ipynb", json={"path": "b.ipynb"})
    assert renamed.ok
    assert opened(notebook, "b.ipynb") == shown
    # Who names only the kernelspec, as other clients do, gets it where the document ran.
    again = new_session(notebook, "b.ipynb", "python3")
    assert again["kernel"]["backend"] == "js"
    notebook.request("DELETE", f"/api/sessions/{again['id']}")
    save(notebook, "c.ipynb", {"name": "ir@gone", "display_name": "R · gone"})
    assert saved(notebook, "c.ipynb") == {"name": "ir", "display_name": "R"}


def test_one_gateway_down_leaves_the_others(farm: Farm) -> None:
    gateways = {name: farm.gateway("jupyter-server").start() for name in ("near", "far")}
    with Intermediary(urlsplit(gateways["far"].url).port or 0) as link:
        gateways["far"].url, own = link.url, gateways["far"].url
        notebook = several(farm, "--Gateway.poll_interval=0.2", "--mode=local", **gateways).start()
        gateways["far"].url = own
        assert set(specs(notebook)) == {"python3@local", "python3@near", "python3@far"}
        session = new_session(notebook, "a.ipynb", "python3@far")
        link.blackhole()
        wait_for(
            "its kernel to be unknown",
            lambda: (
                [
                    kernel["execution_state"]
                    for kernel in notebook.get("/api/kernels").json()
                    if kernel["id"] == session["kernel"]["id"]
                ]
                == ["unknown"]
            ),
        )
        (listed,) = notebook.get("/api/sessions").json()
        assert (listed["id"], listed["kernel"]["execution_state"]) == (session["id"], "unknown")
        wait_for(
            "its kernelspec to be stale",
            lambda: specs(notebook)["python3@far"]["spec"]["metadata"]["notebook_remote"]["stale"],
        )
        for where in ("near", "local"):
            other = new_session(notebook, f"{where}.ipynb", f"python3@{where}")
            assert other["kernel"]["backend"] == where
        link.restore()
        wait_for(
            "it to be back",
            lambda: notebook.get(f"/api/kernels/{session['kernel']['id']}").status_code == 200,
        )
        assert notebook.get(f"/api/sessions/{session['id']}").json()["id"] == session["id"]


def test_a_gateway_is_asked_once_in_an_interval(farm: Farm) -> None:
    """However many pages ask for lists."""
    gateway = farm.gateway("kernel-gateway").start()
    with Intermediary(urlsplit(gateway.url).port or 0, recorded=1_000_000) as link:
        gateway.url, own = link.url, gateway.url
        notebook = several(farm, "--mode=local", "--Gateway.poll_interval=60", gpu=gateway).start()
        gateway.url = own
        with ThreadPoolExecutor(10) as pool:
            assert all(pool.map(lambda _: len(specs(notebook)) == 2, range(30)))
        assert bytes(link.to_gateway).count(b"GET /api/kernelspecs") == 1


def test_a_gateway_that_never_answered_hides_no_other(farm: Farm) -> None:
    with Intermediary(1) as link:
        link.blackhole()
        nowhere = farm.gateway("jupyter-server")
        nowhere.url = link.url
        notebook = several(farm, "--mode=local", nowhere=nowhere).start()
        assert set(specs(notebook)) == {"python3"}
        assert notebook.start_kernel(name="python3")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="three"),
        pytest.param({"eg": "enterprise-gateway"}, id="four", marks=pytest.mark.eg),
    ],
)
def test_gateways_of_all_kinds_find_their_sessions_after_a_kill(
    farm: Farm, more: dict[str, str]
) -> None:
    kinds = {"js": "jupyter-server", "jkg": "kernel-gateway", "jkg2": "kernel-gateway", **more}
    gateways = {name: farm.gateway(kind).start() for name, kind in kinds.items()}
    first = several(farm, **gateways).start()
    found = {}
    offered = specs(first)
    for name in ("embedded", *kinds):
        spec = "python3" if f"python3@{name}" in offered else "python_kubernetes"
        session = new_session(first, f"{name}.ipynb", f"{spec}@{name}")
        found[session["id"]] = (session["kernel"]["id"], name)
        with first.channels(session["kernel"]["id"]) as channels:
            channels.run(f"x = {name!r}")
    first.kill()
    second = several(farm, **gateways).start()

    def sessions() -> dict[str, Any]:
        listed = second.get("/api/sessions").json()
        return {s["id"]: (s["kernel"]["id"], s["kernel"]["backend"]) for s in listed}

    assert sessions() == found
    for kernel_id, name in found.values():
        with second.channels(kernel_id) as channels:
            assert channels.run("print(x)").strip() == name


def test_two_pages_that_open_one_notebook_get_one_kernel(notebook: Server) -> None:
    before = {kernel["id"] for kernel in notebook.get("/api/kernels").json()}

    def open_it(_: int) -> dict[str, Any]:
        # As a page does: it renames the session when the kernel is up.
        body = {"path": f"sub/{uuid.uuid4()}", "name": "same.ipynb", "type": "notebook"}
        made = notebook.post("/api/sessions", {**body, "kernel": {"name": "python3@jkg"}}).json()
        assert made["path"] == body["path"]  # else the page would shut the session down
        path = f"/api/sessions/{made['id']}"
        return dict(notebook.request("PATCH", path, json={"path": "sub/same.ipynb"}).json())

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(open_it, range(8)))
    assert {session["path"] for session in made} == {"sub/same.ipynb"}
    assert len({session["id"] for session in made}) == 1
    started = {kernel["id"] for kernel in notebook.get("/api/kernels").json()} - before
    assert started == {made[0]["kernel"]["id"]}
    notebook.request("DELETE", f"/api/sessions/{made[0]['id']}")


def test_a_kernel_that_another_session_has_survives_a_change(notebook: Server) -> None:
    session = new_session(notebook, "one.ipynb", "python3@js")
    kernel_id = session["kernel"]["id"]
    body = {"path": "two.ipynb", "name": "", "type": "notebook", "kernel": {"id": kernel_id}}
    other = notebook.post("/api/sessions", body).json()
    path = f"/api/sessions/{session['id']}"
    changed = notebook.request("PATCH", path, json={"kernel": {"name": "python3@jkg"}}).json()
    assert changed["kernel"]["id"] != kernel_id
    assert notebook.get(f"/api/kernels/{kernel_id}").status_code == 200
    for session_id in (session["id"], other["id"]):
        assert notebook.request("DELETE", f"/api/sessions/{session_id}").status_code == 204


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"gpu": "nonsense"}, "'gpu'.*is not the address of a gateway"),
        ({"local": "http://h:1"}, "'local' cannot be the name"),
        ({"a b": "http://h:1"}, "'a b' cannot be the name"),
        ({"gpu": ""}, "'gpu' has no address"),
        ({"gpu": 5}, "'gpu' is neither"),
        ({"gpu": {"url": "http://h:1", "tokn": "x"}}, "'tokn'"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(named: dict[str, Any], words: str) -> None:
    with pytest.raises(TraitError, match=words):
        Gateways(config=Config({"Gateways": {"named": named}})).all()


def test_a_named_gateway_has_its_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_GATEWAY_AUTH_TOKEN", "of another")
    monkeypatch.setenv("NOTEBOOK_REMOTE_GATEWAYS", "gpu=https://gpu:8888, cpu=http://cpu")
    monkeypatch.setenv("NOTEBOOK_REMOTE_GPU_AUTH_TOKEN", "its own")
    config = Config({"Gateway": {"connect_timeout": 3, "http_user": "ada", "mode": "local"}})
    own, gpu, cpu = Gateways(config=config).all()
    assert (own.name, gpu.name, cpu.name) == ("local", "gpu", "cpu")
    assert (gpu.url, gpu.auth_token, gpu.mode) == ("https://gpu:8888", "its own", "proxy")
    assert (gpu.connect_timeout, gpu.http_user, cpu.auth_token) == (3, "", "")
    config.Gateways.own_kernels = False
    monkeypatch.setenv("NOTEBOOK_REMOTE_GPU_MODE", "browser")
    assert [(g.name, g.mode) for g in Gateways(config=config).all()] == [
        ("gpu", "browser"),
        ("cpu", "proxy"),
    ]


def test_a_bad_name_on_the_command_line_is_refused(farm: Farm) -> None:
    found = run(farm, "--allow-root", "--no-browser", "--gateway=local=http://h:1")
    assert found.returncode == 1
    assert "'local' cannot be the name" in found.stderr
    assert "Traceback" not in found.stderr


def test_credentials_of_one_gateway_are_not_used_for_another(farm: Farm) -> None:
    gateway = farm.gateway("kernel-gateway").start()
    other = farm.gateway("kernel-gateway", token=gateway.token).start()
    env = {"JUPYTER_GATEWAY_URL": gateway.url, "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token}
    notebook = farm.notebook(f"--gateway=other={other.url}", env=env).start()
    assert set(specs(notebook)) == {"python3"}
    answer = notebook.post("/api/kernels", {"name": "python3@other"})
    assert answer.status_code == 424, answer.text
    assert "token" in answer.json()["message"]


def test_a_gateway_with_two_names_has_each_kernel_once(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server").start()
    notebook = several(farm, "--Gateways.own_kernels=False", one=gateway, two=gateway).start()
    wait_for("both to be listed", lambda: set(specs(notebook)) == {"python3@one", "python3@two"})
    kernels = {notebook.start_kernel(name=name): name for name in specs(notebook)}

    def listed() -> dict[str, str]:
        models = notebook.get("/api/kernels").json()
        assert len(models) == 2
        return {model["id"]: model["name"] for model in models}

    assert listed() == kernels
    notebook.kill()
    notebook.start()
    wait_for("both to be known", lambda: len(specs(notebook)) == 2)
    assert listed() == kernels
