"""Sessions and kernels outlive the server's process: the file, and what a restart finds."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from notebook_remote.store import Store

from .intermediary import Intermediary
from .processes import Farm, Server, wait_for
from .test_sessions import new_body

URL = "http://gpu:8888"


def store(folder: Path, root: str = "/work", url: str = URL) -> Store:
    return Store(folder, root, url, logging.getLogger())


def crash(held: Store) -> None:
    """What is left of a store when its process dies: an unlocked file."""
    held.connection.close()


def session(held: Store, name: str, kernel_id: str) -> None:
    row = (name, f"{name}.ipynb", name, "notebook", kernel_id)
    held.connection.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)", row)


def sessions(held: Store) -> list[str]:
    return sorted(row[0] for row in held.connection.execute("SELECT session_id FROM session"))


def test_what_a_crash_leaves_is_found_again(tmp_path: Path) -> None:
    first = store(tmp_path)
    first.add_kernel("k1", "python3")
    session(first, "s1", "k1")
    crash(first)
    second = store(tmp_path)
    assert second.kernels() == {"k1": "python3"}
    assert sessions(second) == ["s1"]


def test_two_servers_at_once_have_a_file_each_and_the_next_one_finds_both(tmp_path: Path) -> None:
    first, second = store(tmp_path), store(tmp_path)
    first.add_kernel("k1", "python3")
    second.add_kernel("k2", "ir")
    session(second, "s2", "k2")
    assert (first.kernels(), second.kernels()) == ({"k1": "python3"}, {"k2": "ir"})
    crash(first)
    crash(second)
    third = store(tmp_path)
    assert third.kernels() == {"k1": "python3", "k2": "ir"}
    assert sessions(third) == ["s2"]
    assert list(tmp_path.glob("*.sqlite")) == [third.path]


def test_other_directories_and_gateways_are_not_ours(tmp_path: Path) -> None:
    first = store(tmp_path)
    first.add_kernel("k1", "python3")
    crash(first)
    assert store(tmp_path, root="/else").kernels() == {}
    assert store(tmp_path, url="http://other:8888").kernels() == {}
    assert store(tmp_path).kernels() == {"k1": "python3"}


def test_nothing_is_left_of_a_store_without_kernels(tmp_path: Path) -> None:
    empty = store(tmp_path)
    empty.add_kernel("k1", "python3")
    session(empty, "s1", "k1")
    empty.drop_kernel("k1")
    empty.close()
    assert list(tmp_path.iterdir()) == []
    kept = store(tmp_path)
    kept.add_kernel("k1", "python3")
    session(kept, "s1", "k1")
    session(kept, "s2", "k2")  # whose kernel was shut down
    kept.close()
    assert sessions(store(tmp_path)) == ["s1"]


def test_a_file_that_cannot_be_read_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = store(tmp_path)
    broken.add_kernel("k1", "python3")
    crash(broken)
    broken.path.write_bytes(b"no database" * 1000)
    assert store(tmp_path).kernels() == {}
    assert broken.path.with_suffix(".unreadable").exists()
    assert "cannot be read" in caplog.text


# -- with servers ---------------------------------------------------------------------------------


def started(notebook: Server) -> tuple[str, str]:
    """A session with a variable in its kernel: the ids of both."""
    made = notebook.post("/api/sessions", new_body()).json()
    with notebook.channels(made["kernel"]["id"]) as channels:
        channels.run("x = 'kept'")
    return made["id"], made["kernel"]["id"]


def value(notebook: Server, kernel_id: str) -> str:
    with notebook.channels(kernel_id) as channels:
        return channels.run("print(x)").strip()


def ids(notebook: Server) -> list[tuple[str, str]]:
    return [(s["id"], s["kernel"]["id"]) for s in notebook.get("/api/sessions").json()]


def test_a_server_that_was_killed_has_its_sessions_again(
    farm: Farm, gateway: Server, kind: str
) -> None:
    env = {"KERNEL_USERNAME": "ada"}
    first = farm.notebook(gateway=gateway, name="one", env=env).start()
    session_id, kernel_id = started(first)
    _, gone_kernel = started(first)
    unreferenced = first.start_kernel()
    first.kill()
    gateway.request("DELETE", f"/api/kernels/{gone_kernel}")
    second = farm.notebook(gateway=gateway, name="one", env=env).start()
    assert ids(second) == [(session_id, kernel_id)]
    assert value(second, kernel_id) == "kept"
    listed = [k["id"] for k in second.get("/api/kernels").json()]
    assert sorted(listed) == sorted([kernel_id, unreferenced])
    assert f"Kernel {gone_kernel} is gone" in second.log
    second.stop()
    for stopped in (kernel_id, unreferenced):
        assert gateway.get(f"/api/kernels/{stopped}").status_code == 404
    third = farm.notebook(gateway=gateway, name="one", env=env).start()
    assert third.get("/api/kernels").json() == ids(third) == []


def test_with_keep_an_orderly_stop_keeps_them_too(farm: Farm, gateway: Server) -> None:
    options = {"gateway": gateway, "name": "one", "env": {"KERNEL_USERNAME": "ada"}}
    first = farm.notebook("--Gateway.on_exit=keep", **options).start()
    session_id, kernel_id = started(first)
    first.stop()
    assert "keep running when this server stops" in first.log
    assert re.search(f"keep running on the gateway: {kernel_id}", first.log)
    second = farm.notebook(**options).start()
    assert ids(second) == [(session_id, kernel_id)]
    assert value(second, kernel_id) == "kept"


def test_an_embedded_gateway_is_kept_too(farm: Farm) -> None:
    first = farm.notebook("--Gateway.on_exit=keep", name="one").start()
    session_id, kernel_id = started(first)
    first.stop()
    second = farm.notebook(name="one").start()
    assert ids(second) == [(session_id, kernel_id)]
    assert value(second, kernel_id) == "kept"


def test_while_the_gateway_is_away_its_sessions_are_unknown_and_not_gone(farm: Farm) -> None:
    gateway = farm.gateway("kernel-gateway").start()
    with Intermediary(urlsplit(gateway.url).port or 0) as link:
        env = {"JUPYTER_GATEWAY_URL": link.url, "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token}
        first = farm.notebook(env=env, name="one").start()
        session_id, kernel_id = started(first)
        link.refuse()
        first.stop()
        assert f"did not confirm it: {kernel_id}" in first.log
        second = farm.notebook(env=env, name="one").start()
        assert second.get("/api/sessions").status_code == 503
        link.restore()
        wait_for("the session", lambda: second.get("/api/sessions").ok)
        assert ids(second) == [(session_id, kernel_id)]
        assert value(second, kernel_id) == "kept"


def test_a_kernel_of_two_sessions_survives_the_end_of_one(farm: Farm, notebook: Server) -> None:
    session_id, kernel_id = started(notebook)
    other = notebook.post("/api/sessions", new_body(id=kernel_id)).json()
    assert notebook.request("DELETE", f"/api/sessions/{session_id}").status_code == 204
    assert (other["id"], kernel_id) in ids(notebook)
    assert value(notebook, kernel_id) == "kept"
    assert notebook.request("DELETE", f"/api/sessions/{other['id']}").status_code == 204
    assert notebook.get(f"/api/kernels/{kernel_id}").status_code == 404
