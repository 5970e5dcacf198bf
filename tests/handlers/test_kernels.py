"""Bad input: an error that says what was wrong, and never a 500."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from notebook_remote.client.models import KERNEL_ID
from notebook_remote.handlers.bodies import check_body

from ..support.servers import Server
from ..support.shared_servers import SharedServers

NOT_OBJECTS: list[Any] = [[], [1], "text", 1, 0, True, False, 1.5]
NOT_STRINGS: list[Any] = [1, True, [], {}, ["a"]]
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(params=["jupyter-server", "local"])
def server(request: pytest.FixtureRequest, shared: SharedServers) -> Iterator[Server]:
    """A server in which nothing may go wrong inside, whatever it is sent."""
    server = shared.notebook(request.param)
    before = len(server.log)
    yield server
    assert "Uncaught exception" not in server.log[before:]


def bodies_of_wrong_types() -> list[tuple[str, Any]]:
    kernels = [{key: value} for key in ("name", "path", "kernel_id") for value in NOT_STRINGS]
    good = {"path": "a.ipynb", "type": "notebook", "name": "a"}
    sessions = [{**good, key: value} for key in good for value in NOT_STRINGS]
    sessions += [{**good, "kernel": value} for value in (1, "python3", ["python3"], True)]
    sessions += [{**good, "kernel": {k: v}} for k in ("name", "id") for v in NOT_STRINGS]
    sessions += [{**good, "notebook": value} for value in (1, "a", [])]
    sessions += [{}, {"path": "a"}, {"type": "notebook"}]
    return [
        *(("/api/kernels", body) for body in [*NOT_OBJECTS, *kernels, {"kernel_id": "../x"}]),
        *(("/api/sessions", body) for body in [*NOT_OBJECTS, *sessions]),
    ]


def test_a_malformed_body_is_a_400(server: Server) -> None:
    for path, body in bodies_of_wrong_types():
        answer = server.request("POST", path, data=json.dumps(body))
        assert answer.status_code == 400, (path, body, answer.text)
        assert answer.json()["message"], (path, body)


def test_a_session_with_an_id_that_no_kernel_can_have_gets_a_kernel(server: Server) -> None:
    """As with jupyter_server, except that the kernel's id is one of ours."""
    for number, kernel_id in enumerate(("", "foo", "../../x")):
        body = {"path": f"odd-{number}.ipynb", "type": "notebook", "kernel": {"id": kernel_id}}
        answer = server.post("/api/sessions", body)
        assert answer.status_code == 201, answer.text
        session = answer.json()
        assert KERNEL_ID.fullmatch(session["kernel"]["id"])
        path = f"/api/sessions/{session['id']}"
        changed = server.request("PATCH", path, json={"kernel": {"id": kernel_id or "foo"}})
        assert changed.status_code == 400
        assert "No such kernel" in changed.json()["message"]
        assert server.request("DELETE", path).status_code == 204


def test_what_is_not_json_is_a_400(server: Server) -> None:
    for path, data in itertools.product(
        ("/api/kernels", "/api/sessions"), (b"{", b"\xff\xfe", b"nope", b"{]}", b'{"a":')
    ):
        answer = server.request("POST", path, data=data)
        assert answer.status_code == 400, (path, data, answer.text)


def test_a_patch_is_checked_too(server: Server) -> None:
    for body in [*NOT_OBJECTS, {"path": 1}, {"kernel": "x"}, {"kernel": {"name": 1}}]:
        answer = server.request("PATCH", f"/api/sessions/{UNKNOWN}", data=json.dumps(body))
        assert answer.status_code == 400, (body, answer.text)
    assert server.request("PATCH", f"/api/sessions/{UNKNOWN}", json={}).status_code == 404


def test_odd_ids_never_reach_another_path_of_the_gateway(server: Server) -> None:
    """The stock client follows ..%2f in an id with the gateway's token (facts 21)."""
    for kernel_id in ("..%2fstatus", "%2e%2e%2fstatus", "a-b-c-d-e%2f..", "a-b-c-d-%0d%0a"):
        for method, action in (("GET", ""), ("DELETE", ""), ("POST", "/restart")):
            answer = server.request(method, f"/api/kernels/{kernel_id}{action}")
            assert answer.status_code in (404, 405), (kernel_id, answer.text)
        assert server.get(f"/api/kernelspecs/{kernel_id}").status_code == 404


def test_who_is_not_authenticated_gets_nothing(server: Server) -> None:
    for path in ("/api/kernels", f"/api/kernels/{UNKNOWN}", "/api/sessions", "/api/kernelspecs"):
        assert server.get(path, headers={"Authorization": ""}).status_code == 403
    assert server.post("/api/kernels", {}, headers={"Authorization": ""}).status_code == 403


def test_a_body_is_named_where_it_is_wrong() -> None:
    with pytest.raises(Exception, match=r"'kernel\.name' in the body must be a string"):
        check_body({"kernel": {"name": 1}}, "JupyterSessionRequest")
    body = {"kernel": {"name": "x", "id": None}, "other": 1}
    assert check_body(body, "JupyterSessionRequest") == {"kernel": {"name": "x"}, "other": 1}
