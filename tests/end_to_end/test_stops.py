"""Nothing keeps a server from its orderly end: not pages, failed or slow starts, errors."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from ..support.intermediary import Intermediary
from ..support.recipes import TAKES_AN_ID, answers
from ..support.servers import STOP_PATIENCE, Farm, Server, alive, children, wait_for

ASKED = ("/api/sessions", "/api/kernels", "/api/kernelspecs", "/notebook-remote/api/kernels")


@contextlib.contextmanager
def pages_ask(notebook: Server, count: int = 6) -> Iterator[set[int]]:
    """Pages that ask for lists all the time, on connections that they keep; yields the answers."""
    statuses: set[int] = set()
    stop = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = f"token {notebook.token}"
            while not stop.is_set():
                for path in ASKED:
                    with contextlib.suppress(requests.RequestException):
                        statuses.add(session.get(notebook.url + path, timeout=5).status_code)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def kernelspec(notebook: Server, name: str, *argv: str) -> None:
    folder = Path(notebook.env["JUPYTER_DATA_DIR"]) / "kernels" / name
    folder.mkdir(parents=True)
    spec = {"argv": [*argv, "{connection_file}"], "display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))


@pytest.mark.parametrize("attempt", range(3))
def test_while_pages_ask(farm: Farm, attempt: int) -> None:
    notebook = farm.notebook().start()
    body = {"path": "a.ipynb", "type": "notebook", "name": "a", "kernel": {"name": "python3"}}
    kernel_id = notebook.post("/api/sessions", body).json()["kernel"]["id"]
    processes = children(notebook.pid)
    with notebook.channels(kernel_id), pages_ask(notebook) as statuses:
        wait_for("answers", lambda: statuses)
        notebook.stop(patience=STOP_PATIENCE)
    assert notebook.process is not None
    assert notebook.process.returncode == 0
    assert statuses <= {200, 503}
    assert "Traceback" not in notebook.log
    wait_for("all processes to end", lambda: not any(map(alive, processes)))


@pytest.mark.parametrize("mode", ["local", "proxy"])
def test_after_failed_starts(farm: Farm, mode: str) -> None:
    notebook = farm.notebook(f"--mode={mode}")
    kernelspec(notebook, "broken", "/no/such/program")
    notebook.start()
    running = notebook.start_kernel()
    assert notebook.post("/api/kernels", {"name": "broken"}).status_code >= 500
    assert notebook.post("/api/kernels", {"name": "unknown"}).status_code >= 500
    assert [kernel["id"] for kernel in notebook.get("/api/kernels").json()] == [running]
    processes = children(notebook.pid)
    notebook.stop(patience=STOP_PATIENCE)
    assert "takes longer" not in notebook.log
    wait_for("all processes to end", lambda: not any(map(alive, processes)))


@pytest.mark.parametrize(
    "mode",
    [
        "local",
        "proxy",
        pytest.param(
            "gateway",
            marks=pytest.mark.skipif(
                not TAKES_AN_ID, reason="jupyter_server before 2.20 ignores the id"
            ),
        ),
    ],
)
def test_while_the_only_kernel_is_starting(
    farm: Farm, mode: str, link: Callable[..., Intermediary]
) -> None:
    if mode == "gateway":
        gateway = farm.gateway("jupyter-server").start()
        way = link(gateway)
        env = {"JUPYTER_GATEWAY_URL": way.url, "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token}
        notebook = farm.notebook(env=env).start()
        here = gateway
    else:
        here = notebook = farm.notebook(f"--mode={mode}").start()
    wait_for("the gateway", lambda: notebook.get("/api/kernelspecs").ok)
    before = set(children(here.pid))
    if mode == "gateway":
        way.delay(1.0, "down")  # the kernel is up, and its start has no answer yet

    def ask() -> None:
        with contextlib.suppress(requests.RequestException):
            notebook.post("/api/kernels", {})

    start = threading.Thread(target=ask)
    start.start()
    started = wait_for("the kernel's process", lambda: set(children(here.pid)) - before)
    notebook.stop(patience=STOP_PATIENCE)
    start.join()
    wait_for("the kernel to end", lambda: not any(map(alive, started)))
    if mode == "gateway":
        wait_for("no kernel there", lambda: here.get("/api/kernels").json() == [])


def test_kernels_that_do_not_end_by_themselves_are_killed(farm: Farm) -> None:
    notebook = farm.notebook("--mode=local")
    stubborn = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); open('ready', 'w'); signal.pause()"
    )
    kernelspec(notebook, "stubborn", sys.executable, "-c", stubborn)
    notebook.start()
    notebook.start_kernel(name="stubborn")
    wait_for("the kernel", (notebook.folder / "ready").exists)
    processes = children(notebook.pid)
    notebook.stop(patience=STOP_PATIENCE)
    assert "it is killed" in notebook.log
    assert not any(map(alive, processes))


HANGS = """
def _jupyter_server_extension_points():
    return [{"module": "hangs"}]

def _load_jupyter_server_extension(app):
    import ctypes, signal, time
    def hang():
        mutex, c = ctypes.create_string_buffer(128), ctypes.CDLL(None)
        for _ in range(2):
            c.pthread_mutex_lock(mutex)  # in which Python runs no signal handler, on Linux
        time.sleep(600)
    def freeze(*_):
        app.io_loop.add_callback_from_signal(hang)
    signal.signal(signal.SIGUSR2, freeze)
"""


def test_a_signal_ends_one_that_hangs(farm: Farm) -> None:
    """Other people's code blocks the event loop, which cannot do anything any more."""
    notebook = farm.notebook("--mode=local", "--ServerApp.jpserver_extensions={'hangs': True}")
    modules = notebook.folder.parent / "modules"
    modules.mkdir()
    (modules / "hangs.py").write_text(HANGS)
    notebook.env["PYTHONPATH"] = str(modules)
    notebook.start()
    notebook.signal(signal.SIGUSR2)
    wait_for("it to hang", lambda: not answers(notebook.url))
    notebook.stop(patience=STOP_PATIENCE)
    assert "did not stop in time" in notebook.log
