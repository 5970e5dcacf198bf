"""Browser mode on the notebook server's side: it keeps sessions, and contacts no gateway."""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from notebook_remote.reported import scope_of

from .conftest import SharedServers
from .processes import Farm, Server

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
    (told,) = json.loads(config["notebookRemote"])["backends"]
    where = f"localhost:{silent_gateway.getsockname()[1]}"
    assert (told["mode"], told["url"], told["ws_url"]) == (
        "browser",
        f"http://{where}",
        f"ws://{where}",
    )
    assert re.fullmatch("[0-9a-f]{64}", told["scope"])
    assert told["insecure_token"] is False


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
