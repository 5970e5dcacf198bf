"""The embedded gateway: started, found again after a crash, gone after a normal stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from notebook_remote.config.gateway import Gateway
from notebook_remote.embedded.server import MAX_LOG_SIZE
from notebook_remote.embedded.supervisor import EmbeddedGateway

from ..support.odd_gateway import OddGateway
from ..support.servers import STOP_PATIENCE, Farm, Server, alive, children, free_port, wait_for


def runtime(notebook: Server) -> Path:
    return Path(notebook.env["JUPYTER_RUNTIME_DIR"]) / "notebook-remote"


def gateway_of(notebook: Server) -> dict[str, object]:
    info: dict[str, object] = wait_for(
        "the embedded gateway",
        lambda: [json.loads(p.read_text()) for p in runtime(notebook).glob("embedded-*.json")],
    )[0]
    return info


def test_a_kernel_works_in_the_notebooks_folder(farm: Farm) -> None:
    notebook = farm.notebook()
    (notebook.folder / "sub").mkdir()
    (notebook.folder / "sub" / "a.ipynb").write_text("{}")
    notebook.start()
    body = {
        "path": "sub/a.ipynb",
        "type": "notebook",
        "name": "a.ipynb",
        "kernel": {"name": "python3"},
    }
    session = notebook.post("/api/sessions", body).json()
    with notebook.channels(session["kernel"]["id"]) as channels:
        assert channels.run("import os; print(os.getcwd())").strip() == str(notebook.folder / "sub")
        name = channels.run("print(os.environ['JPY_SESSION_NAME'])").strip()
        assert name == str(notebook.folder / "sub" / "a.ipynb")


def test_nothing_is_left_after_a_normal_stop(farm: Farm) -> None:
    notebook = farm.notebook().start()
    kernel_id = notebook.start_kernel()
    with notebook.channels(kernel_id) as channels:
        channels.run("1")
    processes = children(notebook.pid)
    assert len(processes) >= 2  # the gateway and the kernel
    notebook.stop(patience=STOP_PATIENCE)
    wait_for("all processes to end", lambda: not any(map(alive, processes)))
    assert list(runtime(notebook).iterdir()) == []


def test_a_stop_while_it_starts_leaves_nothing(farm: Farm) -> None:
    notebook = farm.notebook().start()
    processes = wait_for("the gateway's process", lambda: children(notebook.pid))
    notebook.stop(patience=STOP_PATIENCE)
    wait_for("all processes to end", lambda: not any(map(alive, processes)))


def test_it_is_found_again_after_a_crash(farm: Farm) -> None:
    notebook = farm.notebook(name="one").start()
    (notebook.folder / "a.ipynb").write_text("{}")
    body = {"path": "a.ipynb", "type": "notebook", "name": "", "kernel": {"name": "python3"}}
    session = notebook.post("/api/sessions", body).json()
    kernel_id = session["kernel"]["id"]
    with notebook.channels(kernel_id) as channels:
        channels.run("kept = 'here'")
    gateway = gateway_of(notebook)
    notebook.signal(signal.SIGKILL)
    notebook.process.wait()  # type: ignore[union-attr]

    again = farm.notebook(name="one").start()
    assert [k["id"] for k in again.get("/api/kernels").json()] == [kernel_id]
    assert gateway_of(again)["pid"] == gateway["pid"]
    sessions = again.get("/api/sessions").json()
    assert [(s["id"], s["path"]) for s in sessions] == [(session["id"], "a.ipynb")]
    assert again.post("/api/sessions", body).json()["kernel"]["id"] == kernel_id
    with again.channels(kernel_id) as channels:
        assert channels.run("print(kept)") == "here\n"
    again.stop(patience=STOP_PATIENCE)
    wait_for("the gateway to end", lambda: not alive(int(str(gateway["pid"]))))
    assert list(runtime(again).iterdir()) == []


def test_nobody_comes_back(farm: Farm) -> None:
    notebook = farm.notebook("--Gateway.embedded_linger=1").start()
    kernel_id = notebook.start_kernel()
    assert kernel_id
    gateway = gateway_of(notebook)
    processes = children(notebook.pid)
    notebook.signal(signal.SIGKILL)
    wait_for("the gateway and its kernel to end", lambda: not any(map(alive, processes)))
    assert not alive(int(str(gateway["pid"])))


def test_files_in_the_notebooks_folder_are_not_run_at_start(farm: Farm) -> None:
    notebook = farm.notebook()
    for name in ("random.py", "notebook_remote.py", "httpx.py"):
        (notebook.folder / name).write_text("open('was-run', 'w')\nraise SystemExit('was run')")
    # As the installed command does, and not as `python -m`, which looks into the folder itself.
    notebook.command[1:3] = ["-c", "from notebook_remote.app import main; main()"]
    notebook.command.insert(1, "-P")
    notebook.start()
    assert notebook.get("/api/kernelspecs").status_code == 200
    assert not (notebook.folder / "was-run").exists()


def test_a_second_signal_does_not_hurry_it(farm: Farm) -> None:
    notebook = farm.notebook().start()
    notebook.start_kernel()
    processes = children(notebook.pid)
    notebook.signal(signal.SIGTERM)
    notebook.stop(patience=STOP_PATIENCE)  # sends another
    wait_for("all processes to end", lambda: not any(map(alive, processes)))
    assert list(runtime(notebook).iterdir()) == []
    assert list(runtime(notebook).parent.glob("kernel-*.json")) == []


def test_with_a_session_manager_of_the_users_own(farm: Farm) -> None:
    name = "jupyter_server.services.sessions.sessionmanager.SessionManager"
    notebook = farm.notebook(f"--ServerApp.session_manager_class={name}").start()
    body = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "python3"}}
    assert notebook.post("/api/sessions", body).status_code == 201


def test_two_servers_on_one_directory_have_a_gateway_each(farm: Farm) -> None:
    first = farm.notebook(name="one").start()
    with first.kernel() as kernel_id:
        second = farm.notebook(name="one").start()
        assert second.get("/api/kernels").json() == []
        with second.kernel():
            pass
        second.stop(patience=STOP_PATIENCE)
        with first.channels(kernel_id) as channels:
            assert channels.run("1") == "1"


def test_it_is_started_again_when_it_dies(farm: Farm) -> None:
    notebook = farm.notebook().start()
    notebook.start_kernel()
    first = int(str(gateway_of(notebook)["pid"]))
    processes = children(notebook.pid)
    os.kill(first, signal.SIGKILL)
    wait_for("its kernels to end with it", lambda: not any(map(alive, processes)))
    wait_for("a new one", lambda: notebook.get("/api/kernelspecs").status_code == 200)
    wait_for("the dead kernel to go", lambda: notebook.get("/api/kernels").json() == [])
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        assert channels.run("1") == "1"


def test_options_for_kernels_reach_it(farm: Farm) -> None:
    notebook = farm.notebook("--MappingKernelManager.cull_interval=1")
    configuration = Path(notebook.env["JUPYTER_CONFIG_DIR"]) / "jupyter_server_config.py"
    configuration.parent.mkdir()
    configuration.write_text("c.ServerApp.AsyncMappingKernelManager.cull_idle_timeout = 1")
    notebook.start()
    notebook.start_kernel()
    wait_for("the idle kernel to be culled", lambda: notebook.get("/api/kernels").json() == [])


def bound(port: int) -> socket.socket | None:
    with contextlib.suppress(OSError):
        return socket.create_server(("127.0.0.1", port))
    return None


class Stranger:
    """Somebody else's server at a port, which notes all that it gets, and sends it back.

    Or it has an ``answer`` of its own for every message; None is to hang up.
    """

    def __init__(self, port: int, answer: Callable[[str], str | None] = lambda text: text) -> None:
        self.heard: list[str] = []
        heard = self.heard

        class Echo(WebSocketHandler):
            def prepare(self) -> None:
                heard.append(f"{self.request.uri} {dict(self.request.headers)}")

            def on_message(self, text: str | bytes) -> None:
                heard.append(str(text))
                answered = answer(str(text))
                if answered is None:
                    self.close()
                else:
                    self.write_message(answered)

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._end = asyncio.Event()
            server = HTTPServer(Application([(".*", Echo)]))
            server.add_socket(listening)
            started.set()
            await self._end.wait()
            server.stop()

        self.port = port
        # A killed process keeps its port until the last of its threads has ended.
        listening = wait_for(f"port {port} to be free", lambda: bound(port))
        listening.setblocking(False)
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(serve()))
        self._thread.start()
        started.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


def test_a_stranger_at_its_port_gets_nothing(farm: Farm) -> None:
    first = farm.notebook(name="one").start()
    first.start_kernel()
    gateway = gateway_of(first)
    (path,) = runtime(first).glob("embedded-*.json")
    first.kill()
    os.kill(int(str(gateway["pid"])), signal.SIGKILL)
    wait_for("it to end", lambda: not alive(int(str(gateway["pid"]))))
    # Its number was given to another process of this user, and its port as well.
    port = int(str(gateway["port"]))
    path.write_text(json.dumps({**gateway, "pid": os.getpid()}))
    elsewhere = path.with_name(path.name.replace(".json", "0.json"))
    address = f"http://192.0.2.1:{port}/"
    elsewhere.touch(0o600)
    elsewhere.write_text(json.dumps({**gateway, "pid": os.getpid(), "url": address}))
    # Others answer what no gateway does.
    half = json.dumps({"nonce": "1", "proof": "\ud800"})
    answers: list[str | None] = [half, "[" * 200_000, None]
    odd = [Stranger(free_port(), lambda text, answer=answer: answer) for answer in answers]
    files = []
    stranger = Stranger(port)
    try:
        with OddGateway(lambda method, path: (200, {})) as page:
            for n, address in enumerate([*(f"http://127.0.0.1:{o.port}/" for o in odd), page.url]):
                file = path.with_name(path.name.replace(".json", f"{n + 1}.json"))
                file.touch(0o600)
                file.write_text(json.dumps({**gateway, "pid": os.getpid(), "url": address}))
                files.append(file)
            second = farm.notebook(name="one").start()
            with second.kernel() as kernel_id, second.channels(kernel_id) as channels:
                assert channels.run("1") == "1"
    finally:
        for each in (stranger, *odd):
            each.stop()
    assert page.asked
    assert [len(each.heard) for each in odd] == [2, 2, 2]
    # Who hangs up may be a gateway of ours that had to wait too long.
    assert [file.exists() for file in files[:3]] == [False, False, True]
    assert len(stranger.heard) == 2  # the handshake, and a number that has nothing to do with it
    assert str(gateway["token"]) not in str(stranger.heard)
    assert not path.exists()


def test_files_of_others_and_of_dead_processes_are_not_used(farm: Farm) -> None:
    first = farm.notebook("--Gateway.on_exit=keep", name="one").start()
    first.start_kernel()
    gateway = gateway_of(first)
    (path,) = runtime(first).glob("embedded-*.json")
    first.stop()
    path.chmod(0o666)  # anybody may have written it
    dead, elsewhere = (path.with_name(path.name.replace(".json", f"{n}.json")) for n in (0, 1))
    for other, changes in ((dead, {}), (elsewhere, {"host": "another-computer"})):
        other.touch(0o600)
        other.write_text(json.dumps({**gateway, "pid": 2**22 - 1, **changes}))
    second = farm.notebook(name="one").start()
    with second.kernel():
        assert "Found the embedded gateway" not in second.log
    assert not dead.exists()
    assert elsewhere.exists()  # its process can be alive there
    second.stop()
    path.chmod(0o600)
    third = farm.notebook(name="one").start()
    wait_for("it to be found", lambda: "Found the embedded gateway" in third.log)


def test_what_kernels_print_does_not_fill_the_disk(farm: Farm) -> None:
    notebook = farm.notebook().start()
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        channels.run("import os; [os.write(1, b'x' * 99 + b'\\n') for _ in range(100_000)]")
        (log,) = runtime(notebook).glob("embedded-*.log")
        wait_for("its log to be shortened", lambda: log.stat().st_size < MAX_LOG_SIZE / 2)
        channels.run("os.write(1, b'the latest\\n')")
        wait_for("the log to go on", lambda: b"the latest" in log.read_bytes()[-10_000:])
    assert log.stat().st_size < MAX_LOG_SIZE / 2


def test_who_may_say_that_one_has_stopped_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on(runtime_dir: str) -> EmbeddedGateway:
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / runtime_dir))
        return EmbeddedGateway(Gateway(), str(tmp_path), {})

    one, same, elsewhere = on("one"), on("one"), on("elsewhere")
    key = f"{one.prefix}1-2{one.suffix}"
    of_before = f"{one.prefix}1-2"  # a key of a release whose files did not tell their place
    gone = [[e.is_gone(k) for e in (one, same, elsewhere)] for k in (key, of_before, "gateway a")]
    assert gone == [[True, True, False], [False] * 3, [False] * 3]
    one.folder.mkdir(parents=True)
    (one.folder / f"{key}.json").write_text("{}")
    assert not one.is_gone(key)


SLOW = """
import sys, time
if "notebook_remote.embedded.server" in sys.orig_argv:
    time.sleep(600)
"""


def test_its_slow_start_holds_up_no_other_gateway(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server").start()
    notebook = farm.notebook(
        f"--gateway=gpu={gateway.url}", env={"NOTEBOOK_REMOTE_GPU_AUTH_TOKEN": gateway.token}
    )
    modules = notebook.folder.parent / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(SLOW)
    notebook.env["PYTHONPATH"] = str(modules)
    notebook.start()
    body = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "python3@gpu"}}
    session = notebook.post("/api/sessions", body).json()
    assert [s["id"] for s in notebook.get("/api/sessions").json()] == [session["id"]]
    with notebook.channels(session["kernel"]["id"]) as channels:
        assert channels.run("1") == "1"
    assert list(runtime(notebook).glob("embedded-*.json")) == []
    notebook.stop(patience=STOP_PATIENCE)


def test_the_environment_of_a_gateway_client_does_not_reach_it(farm: Farm) -> None:
    env = {"JUPYTER_GATEWAY_AUTH_TOKEN": "s3cret", "JUPYTER_TOKEN": "t0ken"}
    notebook = farm.notebook(env=env).start()
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        code = "import os; print('s3cret' in str(os.environ), 't0ken' in str(os.environ))"
        assert channels.run(code) == "False False\n"


def test_a_notebook_opens_on_this_computer_again(farm: Farm) -> None:
    """Whichever embedded gateway, or none, runs its kernels there now."""
    gateway = farm.gateway("jupyter-server").start()
    env = {"NOTEBOOK_REMOTE_GPU_AUTH_TOKEN": gateway.token}
    options = (f"--gateway=gpu={gateway.url}",)
    first = farm.notebook(*options, name="one", env=env).start()
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": [], "metadata": {"kernelspec": kernelspec}, "nbformat": 4}
    (first.folder / "a.ipynb").write_text(json.dumps({**content, "nbformat_minor": 5}))
    body = {"path": "a.ipynb", "type": "notebook", "name": "a"}
    first.post("/api/sessions", {**body, "kernel": {"name": "python3@embedded"}})
    first.stop()
    for mode, place in (("proxy", "embedded"), ("local", "local")):
        again = farm.notebook(*options, f"--mode={mode}", name="one", env=env).start()
        model = again.get("/api/contents/a.ipynb").json()
        assert model["content"]["metadata"]["kernelspec"]["name"] == f"python3@{place}"
        again.stop()
