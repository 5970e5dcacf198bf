"""Backends are added, changed and removed while the server runs; kernels are kept and adopted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ..support.intermediary import Intermediary
from ..support.recipes import TAKES_AN_ID, new_session, several, specs
from ..support.servers import Farm, Server, wait_for

BACKENDS = "/notebook-remote/api/backends"
KERNELS = "/notebook-remote/api/kernels"


@pytest.fixture(scope="module")
def farm_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    farm = Farm(tmp_path_factory.mktemp("two"))
    yield farm
    farm.close()


@pytest.fixture(scope="module")
def gateway(farm_of_two: Farm) -> Server:
    return farm_of_two.gateway("jupyter-server").start()


@pytest.fixture(scope="module")
def notebook(farm_of_two: Farm, gateway: Server) -> Server:
    env = {"NOTEBOOK_REMOTE_OTHER_AUTH_TOKEN": gateway.token}
    return farm_of_two.notebook("--mode=local", env=env).start()


def add(notebook: Server, gateway: Server, **options: Any) -> Any:
    body = {"name": "gpu", "url": gateway.url, "auth_token": gateway.token, **options}
    return notebook.post(BACKENDS, body)


def backends(notebook: Server) -> dict[str, Any]:
    return {model["name"]: model for model in notebook.get(BACKENDS).json()}


def ours(notebook: Server) -> dict[str, Any]:
    return {model["id"]: model for model in notebook.get(KERNELS).json()["kernels"]}


@pytest.fixture
def added(notebook: Server, gateway: Server) -> Iterator[dict[str, Any]]:
    answer = add(notebook, gateway)
    assert answer.status_code == 201, answer.text
    yield answer.json()
    notebook.request("DELETE", f"{BACKENDS}/gpu?leave_kernels=1")


def test_a_gateway_is_added_and_removed(
    notebook: Server, gateway: Server, added: dict[str, Any]
) -> None:
    assert (added["state"], added["kind"], added["mode"]) == ("up", "jupyter", "proxy")
    assert gateway.token not in str(backends(notebook))
    assert set(specs(notebook)) == {"python3@local", "python3@gpu"}
    with notebook.kernel(name="python3@gpu") as kernel_id:
        assert gateway.get(f"/api/kernels/{kernel_id}").ok
        refusal = notebook.request("DELETE", f"{BACKENDS}/gpu")
        assert refusal.status_code == 409
        assert "'gpu' (1)" in refusal.json()["message"]
    assert notebook.request("DELETE", f"{BACKENDS}/gpu").status_code == 204
    assert set(specs(notebook)) == {"python3"}
    assert set(backends(notebook)) == {"local"}


def test_what_was_added_is_there_after_a_restart(
    farm_of_two: Farm, notebook: Server, gateway: Server, added: dict[str, Any]
) -> None:
    kernel_id = new_session(notebook, "r.ipynb", "python3@gpu")["kernel"]["id"]
    notebook.request("PATCH", f"{KERNELS}/{kernel_id}", json={"on_exit": "keep"})
    notebook.stop()
    assert f"keep running on the gateway 'gpu': {kernel_id}" in notebook.log
    notebook.start()
    found = backends(notebook)["gpu"]
    assert (found["state"], found["kernels"]) == ("down", 1)  # the token was in memory only
    assert "token" in found["error"]
    (session,) = notebook.get("/api/sessions").json()
    assert session["kernel"]["execution_state"] == "unknown"
    body = {"auth_token": gateway.token}
    changed = notebook.request("PATCH", f"{BACKENDS}/gpu", json=body).json()
    assert changed["state"] == "up"
    assert notebook.get(f"/api/kernels/{kernel_id}").json()["backend"] == "gpu"
    files = (path for path in notebook.folder.parent.rglob("*") if path.is_file())
    assert not [path for path in files if gateway.token.encode() in path.read_bytes()]
    notebook.request("DELETE", f"/api/sessions/{session['id']}")


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"name": "local"}, 409, "already"),
        ({"name": "a/b"}, 400, "cannot be the name"),
        ({"name": "x", "url": "nonsense"}, 400, "not the address"),
        ({"name": "x", "mode": "browser"}, 400, "'proxy' or 'direct'"),
        ({"name": "x", "mode": "local"}, 400, "'proxy' or 'direct'"),
        ({"name": "x", "auth_token_file": "/etc/passwd"}, 400, "auth_token_file"),
        ({"name": 5}, 400, "'name'"),
        ({"name": "x", "validate_cert": "x"}, 400, "'validate_cert'"),
        ({"name": "x", "url": "http://xn--a:1"}, 400, "host"),
        ({"id": 5}, 400, "option of a gateway"),
    ],
)
def test_a_gateway_that_cannot_be_used_is_refused(
    notebook: Server, gateway: Server, options: dict[str, Any], status: int, words: str
) -> None:
    answer = add(notebook, gateway, **options)
    assert (answer.status_code, words in answer.json()["message"]) == (status, True), answer.text
    assert set(backends(notebook)) == {"local"}


@pytest.mark.parametrize("name", ["other", "OTHER"])
def test_a_page_gets_no_configured_token_sent_elsewhere(
    notebook: Server, gateway: Server, name: str
) -> None:
    """The variable is for a gateway of the configuration, not for whatever a page calls so."""
    body = {"name": name, "url": gateway.url}
    examined = notebook.post("/notebook-remote/api/examinations", body).json()
    assert any("token" in finding["text"] for finding in examined if finding["verdict"] == "fail")
    assert notebook.post(BACKENDS, body).json()["state"] == "down"
    assert notebook.request("DELETE", f"{BACKENDS}/{name}").status_code == 204


def test_a_gateway_that_does_not_answer_can_be_added(notebook: Server, gateway: Server) -> None:
    answer = add(notebook, gateway, url="http://127.0.0.1:1", name="nowhere")
    assert answer.status_code == 201
    assert answer.json()["state"] == "down"
    assert "connection refused" in answer.json()["error"]
    assert set(specs(notebook)) == {"python3"}
    assert notebook.request("DELETE", f"{BACKENDS}/nowhere").status_code == 204


def test_a_gateway_is_examined_before_it_is_added(notebook: Server, gateway: Server) -> None:
    body = {"url": gateway.url, "auth_token": gateway.token}
    findings = notebook.post("/notebook-remote/api/examinations", body).json()
    verdicts = {finding["name"]: finding["verdict"] for finding in findings}
    assert (verdicts["token"], verdicts["round trip"]) == ("pass", "pass")
    assert "fail" not in verdicts.values()
    wrong = {"url": gateway.url, "auth_token": "wrong"}
    findings = notebook.post("/notebook-remote/api/examinations", wrong).json()
    (failed,) = [finding for finding in findings if finding["verdict"] == "fail"]
    assert failed["name"] == "token"
    assert failed["next_step"]
    assert "wrong" not in str(findings)
    bad = notebook.post("/notebook-remote/api/examinations", {"url": "nonsense"})
    assert bad.status_code == 400
    assert set(backends(notebook)) == {"local"}


def test_a_gateway_that_is_there_is_examined_with_its_token(
    notebook: Server, gateway: Server
) -> None:
    path = "/notebook-remote/api/backends"
    body = {"name": "gpu", "url": gateway.url, "auth_token": gateway.token}
    assert notebook.post(path, body).json()["label"] == "gpu"
    findings = notebook.post(f"{path}/gpu/examinations").json()
    assert [finding for finding in findings if finding["verdict"] == "fail"] == []
    assert gateway.token not in str(findings)
    assert notebook.post(f"{path}/local/examinations").status_code == 409
    assert notebook.post(f"{path}/nosuch/examinations").status_code == 404
    assert notebook.request("DELETE", f"{path}/gpu").status_code == 204


def test_a_gateway_is_examined_with_the_token_that_was_entered(
    farm: Farm, gateway: Server, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("wrong")
    notebook = farm.notebook(f"--gateway-token-file={token}", gateway=gateway.url).start()
    path = "/notebook-remote/api/backends/gateway"
    body = {"auth_token": gateway.token}
    assert notebook.request("PATCH", path, json=body).json()["state"] == "up"
    findings = notebook.post(f"{path}/examinations").json()
    assert [finding for finding in findings if finding["verdict"] == "fail"] == []


def test_a_page_of_somebody_else_adds_nothing(notebook: Server, gateway: Server) -> None:
    body = {"name": "evil", "url": gateway.url}
    for headers in ({"Authorization": ""}, {"Authorization": "token wrong"}):
        answer = notebook.request("POST", BACKENDS, json=body, headers=headers)
        assert answer.status_code == 403
    assert set(backends(notebook)) == {"local"}


def test_an_administrator_can_forbid_it(farm: Farm, gateway: Server) -> None:
    notebook = farm.notebook("--mode=local", "--Gateways.changes_by_pages=False").start()
    answer = add(notebook, gateway)
    assert answer.status_code == 403
    assert "changes_by_pages" in answer.json()["message"]


def test_kernels_without_a_session_are_listed_and_adopted(
    notebook: Server, gateway: Server, added: dict[str, Any]
) -> None:
    foreign = gateway.start_kernel()
    assert foreign not in ours(notebook)
    with notebook.kernel(name="python3@gpu") as kernel_id:
        listed = ours(notebook)[kernel_id]
        assert (listed["sessions"], listed["on_exit"]) == ([], "shutdown")
        body = {"path": "x.ipynb", "name": "", "type": "notebook", "kernel": {"id": kernel_id}}
        session = notebook.post("/api/sessions", body).json()
        (found,) = ours(notebook)[kernel_id]["sessions"]
        assert found == {"id": session["id"], "path": "x.ipynb"}
        notebook.request("DELETE", f"/api/sessions/{session['id']}")
    adopted = notebook.post(KERNELS, {"backend": "gpu", "kernel_id": foreign})
    assert adopted.status_code == 201, adopted.text
    assert foreign in ours(notebook)
    assert notebook.request("DELETE", f"/api/kernels/{foreign}").status_code == 204
    missing = notebook.post(KERNELS, {"backend": "gpu", "kernel_id": foreign})
    assert missing.status_code == 404


def test_a_kernel_of_this_computer_cannot_be_kept(notebook: Server) -> None:
    with notebook.kernel(name="python3") as kernel_id:
        assert not ours(notebook)[kernel_id]["can_be_kept"]
        answer = notebook.request("PATCH", f"{KERNELS}/{kernel_id}", json={"on_exit": "keep"})
        assert answer.status_code == 409


def test_one_kernel_of_an_embedded_gateway_is_kept(farm: Farm) -> None:
    first = farm.notebook(name="one").start()
    survivor, other = first.start_kernel(), first.start_kernel()
    first.request("PATCH", f"{KERNELS}/{survivor}", json={"on_exit": "keep"})
    first.stop()
    second = farm.notebook(name="one").start()
    assert set(ours(second)) == {survivor}
    assert ours(second)[survivor]["on_exit"] == "keep"
    second.request("PATCH", f"{KERNELS}/{survivor}", json={"on_exit": "shutdown"})
    second.stop()
    third = farm.notebook(name="one").start()
    assert ours(third) == {}
    assert other


@pytest.mark.skipif(not TAKES_AN_ID, reason="jupyter_server before 2.20 ignores the id")
def test_a_start_that_takes_long_is_told_and_cancelled(farm: Farm) -> None:
    """The answer of the gateway is held back; nothing of the kernel is left there."""
    gateway = farm.gateway("kernel-gateway", "--JupyterWebsocketPersonality.list_kernels=True")
    gateway.start()
    with Intermediary(urlsplit(gateway.url).port or 0) as link:
        gateway.url, own = link.url, gateway.url
        notebook = several(farm, "--mode=local", far=gateway).start()
        gateway.url = own
        with notebook.kernel(name="python3@far"):
            pass  # what the gateway is has been asked
        link.blackhole("down")
        answers: list[Any] = []
        body = {"path": "slow.ipynb", "name": "", "type": "notebook"}
        body["kernel"] = {"name": "python3@far"}  # type: ignore[assignment]
        asking = threading.Thread(
            target=lambda: answers.append(notebook.post("/api/sessions", body))
        )
        asking.start()
        start = wait_for("the start", lambda: notebook.get(KERNELS).json()["starts"])[0]
        assert (start["document"], start["backend"]) == ("slow.ipynb", "far")
        wait_for("the kernel to be there", lambda: gateway.get("/api/kernels").json())
        cancelled = notebook.request("DELETE", f"/notebook-remote/api/starts/{start['id']}")
        assert cancelled.status_code == 204
        asking.join()
        assert answers[0].status_code == 409
        assert "cancelled" in answers[0].json()["message"]
        assert notebook.get(KERNELS).json()["starts"] == []
        link.restore()
        wait_for("no kernel to be left", lambda: gateway.get("/api/kernels").json() == [])
        again = notebook.request("DELETE", f"/notebook-remote/api/starts/{start['id']}")
        assert again.status_code == 404


def value(notebook: Server, kernel_id: str, code: str = "print(x)") -> str:
    with notebook.channels(kernel_id) as channels:
        return channels.run(code).strip()


def sessions(notebook: Server) -> list[tuple[str, str]]:
    return [(s["id"], s["kernel"]["id"]) for s in notebook.get("/api/sessions").json()]


def test_a_gateway_that_comes_back_has_its_sessions(
    notebook: Server, gateway: Server, added: dict[str, Any]
) -> None:
    session = new_session(notebook, "back.ipynb", "python3@gpu")
    kernel_id = session["kernel"]["id"]
    value(notebook, kernel_id, "x = 'kept'")
    gone = f"{BACKENDS}/gpu?leave_kernels=1"
    assert notebook.request("DELETE", gone).status_code == 204
    assert sessions(notebook) == []
    assert add(notebook, gateway).status_code == 201
    assert sessions(notebook) == [(session["id"], kernel_id)]
    assert value(notebook, kernel_id) == "kept"
    # At another address too.
    with Intermediary(urlsplit(gateway.url).port or 0) as link:
        moved = notebook.request("PATCH", f"{BACKENDS}/gpu", json={"url": link.url})
        assert (moved.status_code, moved.json()["url"]) == (200, link.url), moved.text
        # Whoever changes the address does not get what somebody else has entered.
        assert (moved.json()["state"], gateway.token.encode() in link.to_gateway) == ("down", False)
        entered = {"auth_token": gateway.token}
        assert notebook.request("PATCH", f"{BACKENDS}/gpu", json=entered).json()["state"] == "up"
        assert sessions(notebook) == [(session["id"], kernel_id)]
        assert value(notebook, kernel_id) == "kept"
    bad = notebook.request("PATCH", f"{BACKENDS}/gpu", json={"url": "nonsense"})
    assert bad.status_code == 400
    assert add(notebook, gateway).status_code == 409
    back = {"url": gateway.url, "auth_token": gateway.token}
    notebook.request("PATCH", f"{BACKENDS}/gpu", json=back)
    notebook.request("DELETE", f"/api/sessions/{session['id']}")


def test_a_configured_gateway_at_another_port_has_its_sessions(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server").start()
    first = several(farm, "--mode=local", far=gateway)
    first.start()
    session = new_session(first, "a.ipynb", "python3@far")
    first.kill()
    with Intermediary(urlsplit(gateway.url).port or 0) as link:
        first.command = [word.replace(gateway.url, link.url) for word in first.command]
        first.env = {k: v.replace(gateway.url, link.url) for k, v in first.env.items()}
        first.start()
        assert sessions(first) == [(session["id"], session["kernel"]["id"])]


@pytest.mark.skipif(not TAKES_AN_ID, reason="jupyter_server before 2.20 ignores the id")
def test_a_start_on_a_gateway_that_is_removed_leaves_no_kernel(
    notebook: Server, gateway: Server
) -> None:
    before = {kernel["id"] for kernel in gateway.get("/api/kernels").json()}
    with Intermediary(urlsplit(gateway.url).port or 0) as link:
        assert add(notebook, gateway, url=link.url).status_code == 201
        with notebook.kernel(name="python3@gpu"):
            pass  # what the gateway is has been asked
        link.delay(1.0, "down")
        answers: list[Any] = []
        asking = threading.Thread(
            target=lambda: answers.append(notebook.post("/api/kernels", {"name": "python3@gpu"}))
        )
        asking.start()
        wait_for("the kernel", lambda: len(gateway.get("/api/kernels").json()) > len(before))
        removed = notebook.request("DELETE", f"{BACKENDS}/gpu?leave_kernels=1")
        assert removed.status_code == 204
        asking.join()
        assert answers[0].status_code == 409
        wait_for(
            "no kernel to be left",
            lambda: {kernel["id"] for kernel in gateway.get("/api/kernels").json()} == before,
        )
