"""Browser mode on the notebook server's side: it keeps sessions, and contacts no gateway."""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from notebook_remote.backends.browser import scope_of

from ..support.servers import Farm, Server
from ..support.shared_servers import SharedServers

KERNEL = "0f0e0d0c-0000-4000-8000-{:012d}"


@pytest.fixture(scope="module")
def silent_gateway() -> Iterator[socket.socket]:
    """Where the gateway would be: it notes who connects, and nobody should."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.fixture(scope="module")
def notebook(shared: SharedServers, silent_gateway: socket.socket) -> Iterator[Server]:
    url = f"http://localhost:{silent_gateway.getsockname()[1]}"
    notebook = shared.farm.notebook("--mode=browser", f"--gateway-url={url}").start()
    yield notebook
    with pytest.raises(BlockingIOError):
        silent_gateway.accept()


def session(notebook: Server, kernel_id: str, path: str = "") -> Any:
    body = {
        "path": path or f"{uuid.uuid4()}.ipynb",
        "name": "",
        "type": "notebook",
        "kernel": {"id": kernel_id, "name": "python3"},
    }
    response = notebook.post("/api/sessions", body)
    assert response.status_code == 201, response.text
    return response.json()


def test_sessions_are_kept_for_kernels_that_pages_report(notebook: Server) -> None:
    one, other = KERNEL.format(1), KERNEL.format(2)
    made = session(notebook, one)
    assert (made["kernel"]["id"], made["kernel"]["name"]) == (one, "python3")
    assert made["kernel"]["execution_state"] == "unknown"
    assert session(notebook, other, made["path"])["kernel"]["id"] == one  # another tab's
    path = f"/api/sessions/{made['id']}"
    changed = notebook.request("PATCH", path, json={"kernel": {"id": other, "name": "ir"}})
    assert (changed.status_code, changed.json()["kernel"]["id"]) == (200, other)
    renamed = notebook.request("PATCH", path, json={"path": "b.ipynb"})
    assert (renamed.status_code, renamed.json()["path"]) == (200, "b.ipynb")
    assert [k["id"] for k in notebook.get("/api/kernels").json()] == [other]
    assert notebook.get("/api/status").json()["kernels"] == 1
    assert notebook.request("DELETE", path).status_code == 204
    assert notebook.get("/api/sessions").json() == notebook.get("/api/kernels").json() == []


def test_what_a_page_does_itself_is_refused_with_a_sentence(notebook: Server) -> None:
    kernel_id = KERNEL.format(3)
    made = session(notebook, kernel_id)
    body = {"path": "c.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}}
    for method, path, sent in (
        ("POST", "/api/kernels", {"name": "python3"}),
        ("POST", "/api/sessions", body),
        ("PATCH", f"/api/sessions/{made['id']}", {"kernel": {"name": "python3"}}),
        ("POST", f"/api/kernels/{kernel_id}/restart", None),
        ("POST", f"/api/kernels/{kernel_id}/interrupt", None),
        ("GET", "/api/kernelspecs", None),
        ("GET", "/api/kernelspecs/python3", None),
        ("GET", "/kernelspecs/python3/logo-64x64.png", None),
    ):
        response = notebook.request(method, path, json=sent)
        assert response.status_code == 501, (path, response.text)
        assert "--mode=browser" in response.json()["message"], path
    assert notebook.request("DELETE", f"/api/sessions/{made['id']}").status_code == 204
    assert "Traceback" not in notebook.log


def test_pages_are_told_where_the_gateway_is_and_what_they_share_there(
    notebook: Server, silent_gateway: socket.socket
) -> None:
    html = notebook.get("/tree").text
    config = json.loads(html.split('id="jupyter-config-data"', 1)[1].split(">", 1)[1].split("<")[0])
    (model,) = json.loads(config["notebookRemote"])["backends"]
    where = f"localhost:{silent_gateway.getsockname()[1]}"
    assert (model["mode"], model["url"], model["ws_url"]) == (
        "browser",
        f"http://{where}",
        f"ws://{where}",
    )
    assert re.fullmatch("[0-9a-f]{64}", model["scope"])
    assert model["insecure_token"] is False


def test_the_scope_is_one_servers_and_one_gateways() -> None:
    scopes = {scope_of(b"a", "http://g"), scope_of(b"b", "http://g"), scope_of(b"a", "http://h")}
    assert len(scopes) == 3
    assert scope_of(b"a", "http://g") in scopes


def test_a_token_that_is_given_is_of_no_use_and_the_log_says_so(farm: Farm) -> None:
    notebook = farm.notebook(
        "--mode=browser", "--gateway-url=http://localhost:1", "--gateway-token=s3cret"
    ).start()
    session(notebook, KERNEL.format(4))
    notebook.stop()
    assert "the page asks for it" in notebook.log
    assert re.search(f"Not shut down, .*: {KERNEL.format(4)}", notebook.log)
    assert "s3cret" not in notebook.log


class Beside:
    """A gateway in browser mode beside this computer and a gateway that others use too."""

    def __init__(self, farm: Farm, desk: str) -> None:
        self.farm, self.desk = farm, desk
        self.shared = farm.gateway("kernel-gateway").start()
        self.notebook = self.server().start()

    def server(self, mode: str = "browser", desk: str = "") -> Server:
        """Always the same folders, so that it has what the one before had."""
        return self.farm.notebook(
            "--mode=local",
            f"--gateway=jkg={self.shared.url}",
            f"--gateway=desk={desk or self.desk}",
            name="beside",
            env={
                "NOTEBOOK_REMOTE_JKG_AUTH_TOKEN": self.shared.token,
                "NOTEBOOK_REMOTE_DESK_AUTH_TOKEN": self.shared.token if desk else "",
                "NOTEBOOK_REMOTE_DESK_MODE": mode,
            },
        )


@pytest.fixture(scope="module")
def beside(
    tmp_path_factory: pytest.TempPathFactory, silent_gateway: socket.socket
) -> Iterator[Beside]:
    farm = Farm(tmp_path_factory.mktemp("beside"))
    yield Beside(farm, f"http://localhost:{silent_gateway.getsockname()[1]}")
    farm.close()
    with pytest.raises(BlockingIOError):
        silent_gateway.accept()


def report(notebook: Server, kernel_id: str, name: str, path: str = "") -> Any:
    """As a page does, whatever comes of it."""
    return notebook.post(
        "/api/sessions",
        {
            "path": path or f"{uuid.uuid4()}.ipynb",
            "name": "",
            "type": "notebook",
            "kernel": {"id": kernel_id, "name": name},
        },
    )


def ours(notebook: Server) -> dict[str, str]:
    """The backends of the kernels that the server takes for its user's."""
    return {kernel["id"]: kernel["backend"] for kernel in notebook.get("/api/kernels").json()}


def test_beside_others_a_kernel_is_reported_with_its_gateways_name(beside: Beside) -> None:
    notebook, one, other = beside.notebook, KERNEL.format(11), KERNEL.format(12)
    made = report(notebook, one, "python3@desk", "a.ipynb").json()
    kernel = made["kernel"]
    assert (kernel["id"], kernel["name"], kernel["mode"]) == (one, "python3@desk", "browser")
    path = f"/api/sessions/{made['id']}"
    changed = notebook.request("PATCH", path, json={"kernel": {"id": other, "name": "ir@desk"}})
    assert changed.json()["kernel"]["name"] == "ir@desk"
    assert ours(notebook) == {other: "desk"}
    (model,) = notebook.get("/notebook-remote/api/kernels").json()["kernels"]
    assert (model["on_exit"], model["can_be_kept"]) == ("keep", False)
    moved = notebook.request("PATCH", path, json={"kernel": {"name": "python3@jkg"}}).json()
    assert moved["kernel"]["backend"] == "jkg"
    assert ours(notebook) == {moved["kernel"]["id"]: "jkg"}
    assert notebook.request("DELETE", path).status_code == 204
    assert ours(notebook) == {}


def test_two_tabs_that_start_a_kernel_of_one_notebook_get_one_session(beside: Beside) -> None:
    """The page whose kernel is not taken shuts it down again."""
    one = session_of_tab(beside.notebook, KERNEL.format(21))
    other = session_of_tab(beside.notebook, KERNEL.format(22))
    assert other["id"] == one["id"]
    assert other["kernel"]["id"] == KERNEL.format(21)
    assert ours(beside.notebook) == {KERNEL.format(21): "desk"}
    assert beside.notebook.request("DELETE", f"/api/sessions/{one['id']}").status_code == 204


def session_of_tab(notebook: Server, kernel_id: str) -> Any:
    body = {"path": str(uuid.uuid4()), "name": "same.ipynb", "type": "notebook"}
    kernel = {"id": kernel_id, "name": "python3@desk"}
    return notebook.post("/api/sessions", {**body, "kernel": kernel}).json()


def test_what_a_page_reports_is_never_on_another_gateway(beside: Beside) -> None:
    """Neither by another gateway's name, nor by that of the one in browser mode."""
    notebook, foreign = beside.notebook, beside.shared.start_kernel(name="python3")
    for name in ("python3@jkg", "python3", "nothing@nowhere", ""):
        answer = report(notebook, foreign, name)
        if answer.status_code == 201:  # a new kernel, of this computer or on the gateway
            assert answer.json()["kernel"]["backend"] != "desk"
            notebook.request("DELETE", f"/api/sessions/{answer.json()['id']}")
        assert foreign not in ours(notebook), name
    made = report(notebook, foreign, "python3@desk").json()
    assert ours(notebook) == {foreign: "desk"}
    for method, path in (
        ("POST", f"/api/kernels/{foreign}/interrupt"),
        ("POST", f"/api/kernels/{foreign}/restart"),
        ("DELETE", f"/api/kernels/{foreign}"),
        ("GET", f"/api/kernels/{foreign}/channels"),
        ("POST", f"/notebook-remote/api/kernels/{foreign}/channels"),
    ):
        assert notebook.request(method, path).status_code == 501, path
    assert notebook.request("DELETE", f"/api/sessions/{made['id']}").status_code == 204
    assert beside.shared.get(f"/api/kernels/{foreign}").status_code == 200
    beside.shared.request("DELETE", f"/api/kernels/{foreign}")


def test_a_kernel_of_another_gateway_stays_there_whatever_a_page_reports(beside: Beside) -> None:
    notebook = beside.notebook
    kernel_id = notebook.start_kernel(name="python3@jkg")
    made = report(notebook, kernel_id, "python3@desk").json()
    assert made["kernel"]["backend"] == "jkg"
    assert [kernel["id"] for kernel in notebook.get("/api/kernels").json()] == [kernel_id]
    assert notebook.request("DELETE", f"/api/sessions/{made['id']}").status_code == 204
    assert beside.shared.get(f"/api/kernels/{kernel_id}").status_code == 404


def test_starts_are_refused_and_the_lists_of_others_are_whole(beside: Beside) -> None:
    notebook = beside.notebook
    listed = notebook.get("/api/kernelspecs").json()
    assert set(listed["kernelspecs"]) == {"python3@local", "python3@jkg"}
    for method, path, sent in (
        ("POST", "/api/kernels", {"name": "python3@desk"}),
        ("POST", "/api/kernels", {"name": "python3@desk", "kernel_id": KERNEL.format(31)}),
        ("GET", "/api/kernelspecs/python3@desk", None),
        ("GET", "/kernelspecs/python3@desk/logo-64x64.png", None),
    ):
        answer = notebook.request(method, path, json=sent)
        assert answer.status_code == 501, path
        assert "--mode=browser" in answer.json()["message"], path
    (desk,) = (
        b for b in notebook.get("/notebook-remote/api/backends").json() if b["name"] == "desk"
    )
    assert (desk["mode"], desk["state"], desk["url"]) == ("browser", "unknown", beside.desk)


def test_a_notebook_opens_on_it_again(beside: Beside) -> None:
    notebook = beside.notebook
    kernelspec = {"name": "python3@desk", "display_name": "Python 3 · desk"}
    content = {
        "cells": [],
        "metadata": {"kernelspec": kernelspec},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    body = {"type": "notebook", "content": content}
    assert notebook.request("PUT", "/api/contents/d.ipynb", json=body).ok
    saved = json.loads((notebook.folder / "d.ipynb").read_text())["metadata"]["kernelspec"]
    assert saved == {"name": "python3", "display_name": "Python 3"}
    made = report(notebook, KERNEL.format(41), "python3@desk", "d.ipynb").json()
    assert notebook.request("DELETE", f"/api/sessions/{made['id']}").status_code == 204
    model = notebook.get("/api/contents/d.ipynb?type=notebook").json()
    assert model["content"]["metadata"]["kernelspec"]["name"] == "python3@desk"


def test_sessions_outlive_the_server_but_not_into_another_mode(beside: Beside) -> None:
    """What was only reported is no kernel of ours when the server contacts that gateway itself."""
    foreign = beside.shared.start_kernel(name="python3")
    first = beside.server(desk=beside.shared.url).start()
    made = report(first, foreign, "python3@desk", "e.ipynb").json()
    first.kill()
    other = beside.server(mode="proxy", desk=beside.shared.url).start()
    assert foreign not in ours(other)
    assert other.get(f"/api/kernels/{foreign}").status_code == 404
    other.stop()
    again = beside.server(desk=beside.shared.url).start()
    (session,) = again.get("/api/sessions").json()
    assert (session["id"], session["kernel"]["id"]) == (made["id"], foreign)
    again.stop()
    assert beside.shared.get(f"/api/kernels/{foreign}").status_code == 200
