"""Sessions and kernels outlive the server's process: the file, and what a restart finds."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from notebook_remote.storage.session_file import HEARTBEAT_TIMEOUT
from notebook_remote.storage.session_store import SessionStore, orphaned_kernels

from ..support.intermediary import Intermediary
from ..support.recipes import new_body
from ..support.servers import STOP_PATIENCE, Farm, Server, alive, children, wait_for

GPU, CPU = "http://gpu:8888", "http://cpu:8888"  # keys of gateways


def store(folder: Path, *gateways: str, root: str = "/work") -> SessionStore:
    """A store as a server has it that has these gateways."""
    made = SessionStore(folder, root, logging.getLogger())
    adopt(made, *(gateways or (GPU,)))
    return made


def adopt(held: SessionStore, *gateways: str) -> None:
    async def take() -> None:
        for gateway in gateways:
            await held.adopt(gateway)
        assert await held.flush()

    asyncio.run(take())


def crash(held: SessionStore) -> None:
    """What is left of a store when its process dies: an unlocked file."""
    file = held.release()
    assert file is not None
    file.close()


def session(held: SessionStore, name: str, kernel_id: str) -> None:
    row = (name, f"{name}.ipynb", name, "notebook", kernel_id)
    held.connection.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)", row)


def sessions(held: SessionStore) -> list[str]:
    return sorted(row[0] for row in held.connection.execute("SELECT session_id FROM session"))


def kernels(held: SessionStore, gateway: str = GPU) -> dict[str, str]:
    return {kernel.kernel_id: kernel.name for kernel in held.kernels(gateway)}


def test_what_a_crash_leaves_is_found_again(tmp_path: Path) -> None:
    first = store(tmp_path)
    first.add_kernel("k1", "python3", GPU)
    first.keep_kernel("k1", True)
    session(first, "s1", "k1")
    first.connection.execute("UPDATE session_time SET created = '2020-01-01 00:00:00'")
    (before,) = first.kernels(GPU)
    crash(first)
    second = store(tmp_path)
    assert second.kernels(GPU) == [before]
    assert before.kept
    assert sessions(second) == ["s1"]
    times = second.connection.execute("SELECT created, changed FROM session_time").fetchall()
    assert [tuple(row) for row in times] == [("2020-01-01 00:00:00", before.started)]


def test_two_servers_at_once_have_a_file_each_and_the_next_one_finds_both(tmp_path: Path) -> None:
    first, second = store(tmp_path), store(tmp_path)
    first.add_kernel("k1", "python3", GPU)
    second.add_kernel("k2", "ir", GPU)
    session(second, "s2", "k2")
    assert (kernels(first), kernels(second)) == ({"k1": "python3"}, {"k2": "ir"})
    crash(first)
    crash(second)
    third = store(tmp_path)
    assert kernels(third) == {"k1": "python3", "k2": "ir"}
    assert sessions(third) == ["s2"]
    assert list(tmp_path.glob("*.sqlite")) == [third.path]


def test_other_directories_and_gateways_are_not_ours(tmp_path: Path) -> None:
    first = store(tmp_path)
    first.add_kernel("k1", "python3", GPU)
    crash(first)
    assert kernels(store(tmp_path, root="/else")) == {}
    other = store(tmp_path, CPU)
    assert kernels(other, CPU) == kernels(other) == {}
    assert kernels(store(tmp_path)) == {"k1": "python3"}
    assert [(root, k.kernel_id) for root, k in orphaned_kernels(tmp_path)] == []


def test_a_gateway_that_is_not_there_is_left_to_a_server_that_has_it(tmp_path: Path) -> None:
    first = store(tmp_path, GPU, CPU)
    first.add_kernel("k1", "python3", GPU)
    first.add_kernel("k2", "python3", CPU)
    session(first, "s1", "k1")
    session(first, "s2", "k2")
    crash(first)
    assert {(root, k.kernel_id) for root, k in orphaned_kernels(tmp_path)} == {
        ("/work", "k1"),
        ("/work", "k2"),
    }
    second = store(tmp_path, GPU)
    assert (sessions(second), kernels(second)) == (["s1"], {"k1": "python3"})
    third = store(tmp_path, CPU)
    assert (sessions(third), kernels(third, CPU)) == (["s2"], {"k2": "python3"})
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_what_was_on_a_gateway_that_is_gone_for_good_is_dropped(tmp_path: Path) -> None:
    first = store(tmp_path, GPU, CPU)
    first.add_kernel("k1", "python3", GPU)
    first.add_kernel("k2", "python3", CPU)
    crash(first)
    second = store(tmp_path, root="/work")
    asyncio.run(second.forget_gateways(lambda key: key == CPU))
    adopt(second, CPU)
    assert kernels(second, CPU) == {}


def test_nothing_is_left_of_a_store_without_kernels(tmp_path: Path) -> None:
    empty = store(tmp_path)
    empty.add_kernel("k1", "python3", GPU)
    session(empty, "s1", "k1")
    empty.drop_kernel("k1")
    empty.close()
    assert list(tmp_path.iterdir()) == []
    kept = store(tmp_path)
    kept.add_kernel("k1", "python3", GPU)
    session(kept, "s1", "k1")
    session(kept, "s2", "k2")  # whose kernel was shut down
    kept.close()
    assert sessions(store(tmp_path)) == ["s1"]


def test_where_documents_ran_last_is_remembered(tmp_path: Path) -> None:
    first = store(tmp_path, GPU, CPU)
    first.note_use("a/b.ipynb", CPU)
    first.note_use("a/b.ipynb", GPU)
    first.note_use("ab.ipynb", CPU)
    first.close()
    second = store(tmp_path, GPU, CPU)
    assert second.last_gateway("a/b.ipynb") == GPU
    second.rename_document("a", "c")
    assert (second.last_gateway("a/b.ipynb"), second.last_gateway("c/b.ipynb")) == (None, GPU)
    assert second.last_gateway("ab.ipynb") == CPU
    for number in range(1200):
        second.note_use(f"{number}.ipynb", GPU)
    (count,) = second.connection.execute("SELECT COUNT(*) FROM document").fetchone()
    assert count == 1000
    assert second.last_gateway("1199.ipynb") == GPU


def damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"no page" * 5000)


def changed(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(b"no database" * 1000), "not a database"),
        (damaged, "malformed"),
        (lambda path: changed(path, "ALTER TABLE kernel ADD COLUMN colour"), "other columns"),
        (lambda path: changed(path, "DROP TABLE document"), "other columns"),
        (lambda path: changed(path, "PRAGMA user_version = 99"), "version 99"),
    ],
)
def test_a_file_that_cannot_be_used_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object], reason: str
) -> None:
    good, broken = store(tmp_path), store(tmp_path)
    good.add_kernel("k1", "python3", GPU)
    broken.add_kernel("k2", "python3", GPU)
    crash(good)
    crash(broken)
    damage(broken.path)
    assert "k1" in [kernel.kernel_id for _, kernel in orphaned_kernels(tmp_path)]
    later = store(tmp_path)
    adopt(later, CPU)
    assert kernels(later) == {"k1": "python3"}
    assert broken.path.with_suffix(".unreadable").exists()
    (warning,) = caplog.messages
    assert "cannot be used" in warning
    assert reason in warning


def test_without_a_file_sessions_are_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On a file system that cannot lock, say."""
    folder = tmp_path / "a file"
    folder.write_text("")
    held = SessionStore(folder, "/work", logging.getLogger())
    asyncio.run(held.adopt(GPU))
    held.add_kernel("k1", "python3", GPU)
    session(held, "s1", "k1")
    assert not asyncio.run(held.flush())
    assert (kernels(held), sessions(held)) == ({"k1": "python3"}, ["s1"])
    held.drop_kernel("k1")
    held.close()
    assert [message for message in caplog.messages if "cannot be written" in message]
    assert folder.read_text() == ""


def test_a_full_disk_keeps_nobody_from_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    earlier, held = store(tmp_path, CPU), store(tmp_path)
    earlier.add_kernel("k0", "python3", GPU)
    crash(earlier)
    file = held._writer._file
    assert file is not None
    file._connection.execute("PRAGMA max_page_count = 1")  # no page more than it has
    for number in range(500):
        held.note_use(f"{number}.ipynb", GPU)
    held.add_kernel("k1", "python3", GPU)
    asyncio.run(held.adopt(GPU))  # what the disk does not take stays in the earlier file too
    assert kernels(held) == {"k0": "python3", "k1": "python3"}
    assert earlier.path.exists()
    (warning,) = caplog.messages
    assert "full" in warning
    caplog.clear()
    file._connection.execute("PRAGMA max_page_count = 1000")
    held.add_kernel("k2", "python3", GPU)
    adopt(held, GPU)
    assert not earlier.path.exists()
    assert "again" in caplog.text
    crash(held)
    assert kernels(store(tmp_path)).keys() == {"k0", "k1", "k2"}


def test_where_locks_are_not_seen_a_servers_signs_of_life_are(tmp_path: Path) -> None:
    """On a file system that other computers share."""
    there = store(tmp_path)
    there.add_kernel("k1", "python3", GPU)
    file = there.release()
    assert file is not None
    file.write({"owner": [("another-computer", "another boot")]})
    file.close()  # from here on its lock is not seen
    here = store(tmp_path)
    assert (kernels(here), here.is_used_elsewhere()) == ({}, True)
    assert list(orphaned_kernels(tmp_path)) == []
    os.utime(there.path, (time.time() - HEARTBEAT_TIMEOUT,) * 2)
    assert not here.is_used_elsewhere()
    assert [kernel.kernel_id for _, kernel in orphaned_kernels(tmp_path)] == ["k1"]
    adopt(here, GPU)
    assert kernels(here) == {"k1": "python3"}


def test_one_that_was_stopped_is_free_for_other_computers_at_once(tmp_path: Path) -> None:
    there = store(tmp_path)
    there.add_kernel("k1", "python3", GPU)
    there.close()
    with closing(sqlite3.connect(there.path)) as connection:
        assert connection.execute("SELECT * FROM owner").fetchall() == []


def test_one_file_however_often_it_is_started(tmp_path: Path) -> None:
    for number in range(5):
        held = store(tmp_path, f"embedded-{number}")
        held.note_use(f"{number}.ipynb", "this computer")
        assert held.last_gateway("0.ipynb") == "this computer"
        held.close()
        assert list(tmp_path.iterdir()) == [held.path]


KEYS = st.sampled_from([GPU, CPU])


class StoreMachine(RuleBasedStateMachine):
    """Servers on one directory that come, crash and stop, against a model of what they know."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.servers: dict[str, SessionStore] = {}
        self.left: dict[str, tuple[str, str]] = {}  # kernel: gateway and session, of no server
        self.held: dict[str, dict[str, tuple[str, str]]] = {}  # the same of each server
        self.count = 0

    def teardown(self) -> None:
        for server in self.servers.values():
            crash(server)
        shutil.rmtree(self.folder)

    @rule(gateways=st.sets(KEYS))
    def start(self, gateways: set[str]) -> None:
        if len(self.servers) == 3:
            return
        self.count += 1
        name = f"server{self.count}"
        self.servers[name] = SessionStore(self.folder, "/work", logging.getLogger())
        self.held[name] = {}
        for gateway in gateways:
            self._take_over(name, gateway)

    @precondition(lambda self: self.servers)
    @rule(data=st.data(), gateway=KEYS)
    def add_gateway(self, data: st.DataObject, gateway: str) -> None:
        self._take_over(data.draw(st.sampled_from(sorted(self.servers))), gateway)

    def _take_over(self, name: str, gateway: str) -> None:
        adopt(self.servers[name], gateway)
        taken = {k: v for k, v in self.left.items() if v[0] == gateway}
        self.held[name] |= taken
        self.left = {k: v for k, v in self.left.items() if k not in taken}

    @precondition(lambda self: self.servers)
    @rule(data=st.data(), gateway=KEYS, session_too=st.booleans())
    def start_kernel(self, data: st.DataObject, gateway: str, session_too: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.servers)))
        self.count += 1
        kernel_id, session_id = f"k{self.count}", f"s{self.count}" if session_too else ""
        self.servers[name].add_kernel(kernel_id, "python3", gateway)
        if session_too:
            session(self.servers[name], session_id, kernel_id)
        self.held[name][kernel_id] = (gateway, session_id)

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data())
    def drop_kernel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(n for n, held in self.held.items() if held)))
        kernel_id = data.draw(st.sampled_from(sorted(self.held[name])))
        self.servers[name].drop_kernel(kernel_id)
        _, session_id = self.held[name].pop(kernel_id)
        delete = "DELETE FROM session WHERE session_id = ?"
        self.servers[name].connection.execute(delete, (session_id,))

    @precondition(lambda self: self.servers)
    @rule(data=st.data(), stop=st.booleans())
    def end(self, data: st.DataObject, stop: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.servers)))
        server = self.servers.pop(name)
        server.close() if stop else crash(server)
        self.left |= self.held.pop(name)

    @invariant()
    def every_server_knows_what_it_should(self) -> None:
        for name, server in self.servers.items():
            known = {k.kernel_id: g for g in (GPU, CPU) for k in server.kernels(g)}
            assert known == {k: gateway for k, (gateway, _) in self.held[name].items()}
            assert sessions(server) == sorted(s for _, s in self.held[name].values() if s)

    @invariant()
    def nothing_is_lost(self) -> None:
        left = {kernel.kernel_id: kernel.gateway for _, kernel in orphaned_kernels(self.folder)}
        assert left == {k: gateway for k, (gateway, _) in self.left.items()}


StoreMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, derandomize=True
)
test_the_store_against_a_model = StoreMachine.TestCase


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
    wait_for("what is gone to be noticed", lambda: ids(second) == [(session_id, kernel_id)])
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
    assert "When this server stops, kernels there go on running." in first.log
    assert re.search(f"keep running on the gateway 'gateway': {kernel_id}", first.log)
    second = farm.notebook(**options).start()
    assert ids(second) == [(session_id, kernel_id)]
    assert value(second, kernel_id) == "kept"


def test_an_embedded_gateway_is_kept_too(farm: Farm) -> None:
    first = farm.notebook("--Gateway.on_exit=keep", name="one").start()
    session_id, kernel_id = started(first)
    first.stop()
    # One that looks for gateways elsewhere cannot know that this one still runs.
    other = farm.notebook(name="one")
    other.env["JUPYTER_RUNTIME_DIR"] += "-of-another"
    other.start()
    assert other.get("/api/kernelspecs").status_code == 200  # its own gateway is there by now
    other.stop()
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
        (unknown,) = second.get("/api/sessions").json()
        assert (unknown["id"], unknown["kernel"]["execution_state"]) == (session_id, "unknown")
        link.restore()
        wait_for("it to be back", lambda: second.get(f"/api/kernels/{kernel_id}").ok)
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


def test_a_full_disk_while_it_runs(farm: Farm) -> None:
    first = farm.notebook(name="one").start()
    started(first)
    process = psutil.Process(first.pid)
    room = first.log_path.stat().st_size + 4096  # for the log, and not for the sessions
    process.rlimit(psutil.RLIMIT_FSIZE, (room, psutil.RLIM_INFINITY))
    session_id, kernel_id = started(first)
    _, other = started(first)
    assert first.request("DELETE", f"/api/kernels/{other}").status_code == 204
    renamed = first.request("PATCH", f"/api/sessions/{session_id}", json={"path": "b.ipynb"})
    assert renamed.json()["path"] == "b.ipynb"
    wait_for("a warning", lambda: "cannot be written" in first.log)
    process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    wait_for("room", lambda: "Sessions are kept in" in first.log)
    first.kill()
    second = farm.notebook(name="one").start()
    assert (session_id, kernel_id) in ids(second)
    assert value(second, kernel_id) == "kept"

    process = psutil.Process(second.pid)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, psutil.RLIM_INFINITY))
    assert second.request("DELETE", f"/api/sessions/{session_id}").status_code == 204
    processes = children(second.pid)
    second.stop(patience=STOP_PATIENCE)
    wait_for("all processes to end", lambda: not any(map(alive, processes)))
