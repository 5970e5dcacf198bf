"""The sessions REST API, as jupyter_server has it, against every gateway."""

from __future__ import annotations

import asyncio
import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from jupyter_server.services.sessions.sessionmanager import SessionManager
from traitlets.config import Configurable

from notebook_remote.backends.registry import BackendRegistry
from notebook_remote.backends.remote.backend import GatewayBackend
from notebook_remote.backends.remote.gateway import ManagedGateway
from notebook_remote.backends.remote.kernelspecs import RemoteKernelSpecManager
from notebook_remote.backends.remote.multikernel_manager import RemoteMappingKernelManager
from notebook_remote.config.gateway import Gateway
from notebook_remote.services.kernel_manager import RoutedKernelManager
from notebook_remote.services.session_manager import RemoteSessionManager
from notebook_remote.storage.session_store import SessionStore

from ..support.recipes import new_body
from ..support.servers import Server, wait_for


def test_a_sessions_life(any_notebook: Server) -> None:
    body = new_body()
    created = any_notebook.post("/api/sessions", body)
    assert created.status_code == 201, created.text
    session = created.json()
    path = f"/api/sessions/{session['id']}"
    assert created.headers["Location"] == path
    assert session["path"] == session["name"] == body["path"]
    assert session["notebook"] == {"path": body["path"], "name": body["path"]}
    kernel_id = session["kernel"]["id"]
    assert any_notebook.post("/api/sessions", body).json()["id"] == session["id"]  # no second one
    assert any_notebook.get(path).json()["kernel"]["id"] == kernel_id
    assert session["id"] in [s["id"] for s in any_notebook.get("/api/sessions").json()]

    renamed = any_notebook.request("PATCH", path, json={"path": "b.ipynb", "name": "b"})
    assert (renamed.json()["path"], renamed.json()["name"]) == ("b.ipynb", "b")
    assert renamed.json()["kernel"]["id"] == kernel_id

    assert any_notebook.request("DELETE", path).status_code == 204
    assert any_notebook.get(path).status_code == 404
    assert any_notebook.get(f"/api/kernels/{kernel_id}").status_code == 404


def test_another_kernel_by_name(any_notebook: Server) -> None:
    session = any_notebook.post("/api/sessions", new_body()).json()
    path = f"/api/sessions/{session['id']}"
    answer = any_notebook.request("PATCH", path, json={"kernel": {"name": "python3"}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["kernel"]["id"] != session["kernel"]["id"]
    assert any_notebook.get(f"/api/kernels/{session['kernel']['id']}").status_code == 404
    any_notebook.request("DELETE", path)


def test_another_kernel_by_id(any_notebook: Server) -> None:
    session = any_notebook.post("/api/sessions", new_body()).json()
    path = f"/api/sessions/{session['id']}"
    kernel_id = any_notebook.start_kernel()
    answer = any_notebook.request("PATCH", path, json={"kernel": {"id": kernel_id}})
    assert answer.json()["kernel"]["id"] == kernel_id
    unknown = {"kernel": {"id": str(uuid.uuid4())}}
    assert any_notebook.request("PATCH", path, json=unknown).status_code == 400
    any_notebook.request("DELETE", path)


def test_a_session_for_a_running_kernel(any_notebook: Server) -> None:
    kernel_id = any_notebook.start_kernel()
    session = any_notebook.post("/api/sessions", new_body(id=kernel_id)).json()
    assert session["kernel"]["id"] == kernel_id
    any_notebook.request("DELETE", f"/api/sessions/{session['id']}")


class Owner(Configurable):
    """What the server app is to its managers."""

    backends: BackendRegistry


@pytest.mark.parametrize("kind", ["notebook", "console"])
def test_a_session_looks_as_jupyter_server_makes_it(kind: str, tmp_path: Path) -> None:
    """Ours makes the model itself, for long lists."""
    store = SessionStore(tmp_path, str(tmp_path), logging.getLogger())

    async def test() -> None:
        gateway = ManagedGateway(Gateway(), store, lambda event: None)
        app = Owner()
        app.backends = BackendRegistry()
        specs = RemoteKernelSpecManager(parent=app, gateway=gateway)
        kernels = RemoteMappingKernelManager(parent=app, kernel_spec_manager=specs, gateway=gateway)
        app.backends.add(GatewayBackend(gateway, kernels, specs))
        kernel_id = str(uuid.uuid4())
        kernels.adopt([{"id": kernel_id, "name": "python3"}])
        routed = RoutedKernelManager(parent=app, kernel_spec_manager=specs)
        sessions = RemoteSessionManager(kernel_manager=routed)
        await sessions.save_session("s", path="a/b", name="b", type=kind, kernel_id=kernel_id)
        (row,) = sessions.cursor.execute("SELECT * FROM session").fetchall()
        stock = await SessionManager.row_to_model(sessions, row)
        assert await sessions.row_to_model(row) == stock
        assert stock["kernel"]["id"] == kernel_id
        await routed.shutdown_all()
        assert await sessions.row_to_model(row, tolerate_culled=True) is None
        sessions.close()
        await gateway.close()
        store.close()

    asyncio.run(test())


def test_a_kernel_that_cannot_be_changed_to_leaves_the_session(notebook: Server) -> None:
    session = notebook.post("/api/sessions", new_body()).json()
    path = f"/api/sessions/{session['id']}"
    answer = notebook.request("PATCH", path, json={"kernel": {"name": "nosuch"}})
    assert answer.status_code == 501
    assert "nosuch" in answer.json()["message"]
    assert notebook.get(path).json()["kernel"]["id"] == session["kernel"]["id"]
    notebook.request("DELETE", path)


def test_a_session_goes_with_a_kernel_that_is_gone(notebook: Server, gateway: Server) -> None:
    body = new_body()
    session = notebook.post("/api/sessions", body).json()
    gateway.request("DELETE", f"/api/kernels/{session['kernel']['id']}")
    kernel = f"/api/kernels/{session['kernel']['id']}"
    wait_for("it to be gone", lambda: notebook.get(kernel).status_code == 404)
    assert notebook.get("/api/sessions").json() == []
    again = notebook.post("/api/sessions", body).json()
    assert again["kernel"]["id"] != session["kernel"]["id"]
    notebook.request("DELETE", f"/api/sessions/{again['id']}")


def test_two_tabs_change_the_kernel_at_once(any_notebook: Server) -> None:
    before = {kernel["id"] for kernel in any_notebook.get("/api/kernels").json()}
    session = any_notebook.post("/api/sessions", new_body()).json()
    path = f"/api/sessions/{session['id']}"
    change = {"kernel": {"name": "python3"}}
    with ThreadPoolExecutor() as tabs:
        answers = list(
            tabs.map(lambda _: any_notebook.request("PATCH", path, json=change), range(3))
        )
    (kernel_id,) = {answer.json()["kernel"]["id"] for answer in answers}
    listed = {kernel["id"] for kernel in any_notebook.get("/api/kernels").json()}
    assert listed - before == {kernel_id}

    # And one that is closed while another changes it.
    with ThreadPoolExecutor() as tabs:
        changed = tabs.submit(any_notebook.request, "PATCH", path, json=change)
        assert any_notebook.request("DELETE", path).status_code == 204
    assert changed.result().status_code in (200, 404)
    wait_for(
        "no kernel to be left",
        lambda: {kernel["id"] for kernel in any_notebook.get("/api/kernels").json()} <= before,
    )
