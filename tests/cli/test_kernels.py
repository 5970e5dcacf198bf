"""``jupyter notebook-remote kernels`` in a terminal, with real servers."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

from ..support.recipes import new_session
from ..support.servers import PATIENCE, Farm, Server, alive, children, wait_for
from ..support.shared_servers import SharedServers


def run(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    """As the user of this server."""
    return subprocess.run(
        [sys.executable, "-m", "notebook_remote", "kernels", *words],
        capture_output=True,
        text=True,
        env=server.env,
        cwd=server.folder,
        timeout=PATIENCE,
        check=False,
    )


def test_list_and_shutdown(farm: Farm, shared: SharedServers) -> None:
    gateway = shared.gateway("kernel-gateway")
    foreign = gateway.start_kernel()
    notebook = farm.notebook(gateway=gateway, name="one").start()
    session = new_session(notebook, "a.ipynb", "python3")
    used, unused = session["kernel"]["id"], notebook.start_kernel()
    listed = run(notebook, "list")
    assert listed.returncode == 0, listed.stderr
    lines = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert lines[used].endswith("a.ipynb")
    assert lines[unused].endswith("without a notebook")
    assert foreign not in listed.stdout
    assert notebook.token not in listed.stdout + listed.stderr
    assert run(notebook, "shutdown", unused).returncode == 0
    assert gateway.get(f"/api/kernels/{unused}").status_code == 404
    missing = run(notebook, "shutdown", foreign)
    assert (missing.returncode, "No kernel of yours" in missing.stderr) == (1, True)
    assert gateway.request("DELETE", f"/api/kernels/{foreign}").status_code == 204

    notebook.kill()
    found = json.loads(run(notebook, "list", "--json").stdout)
    assert found["kernels"] == []
    assert [kernel["kernel_id"] for kernel in found["left_behind"]] == [used]
    orphans = run(notebook, "list").stdout
    assert "that has stopped has left these" in orphans
    assert used in orphans
    assert "start one there" in run(notebook, "shutdown", used).stderr
    second = farm.notebook(gateway=gateway, name="one").start()
    assert used in run(second).stdout


def test_a_server_without_a_token(farm: Farm) -> None:
    notebook = farm.notebook("--mode=local")
    token = next(word for word in notebook.command if "token=" in word)
    notebook.command[notebook.command.index(token)] = "--IdentityProvider.token="
    notebook.token = ""
    notebook.start()
    xsrf = {"Cookie": "_xsrf=x", "X-XSRFToken": "x"}
    made = notebook.post("/api/kernels", {"name": "python3"}, headers=xsrf)
    done = run(notebook, "shutdown", str(made.json()["id"]))
    assert (done.returncode, "Shut down, on" in done.stdout) == (0, True), done.stderr


def test_kernels_of_a_gateway_that_was_killed(farm: Farm) -> None:
    notebook = farm.notebook(name="one").start()
    kernel_id = notebook.start_kernel()
    notebook.kill()
    line = next(x for x in run(notebook, "list").stdout.splitlines() if kernel_id in x)
    assert "this computer" in line
    runtime = Path(notebook.env["JUPYTER_RUNTIME_DIR"])
    for path in runtime.glob("notebook-remote/embedded-*.json"):
        pid = json.loads(path.read_text())["pid"]
        kernels = children(pid)
        for process in (pid, *kernels):
            os.kill(process, signal.SIGKILL)
        wait_for("the end of the gateway", lambda pid=pid: not alive(pid))
    # A server that was killed before it had noted its directory.
    (orphans,) = Path(notebook.env["JUPYTER_DATA_DIR"]).glob("notebook-remote/sessions-*.sqlite")
    empty = orphans.with_name("sessions-0-0.sqlite")
    connection = sqlite3.connect(empty)
    connection.executescript(
        "CREATE TABLE directory (path); CREATE TABLE kernel (kernel_id, name, gateway, kept,"
        " started, answered);"
    )
    connection.close()
    listed = run(notebook, "list")
    assert listed.stdout.strip().startswith("No notebook server of yours is running"), listed


def test_what_is_not_understood(farm: Farm) -> None:
    listed = run(farm.notebook(), "lst")
    assert (listed.returncode, "kernels list" in listed.stderr) == (1, True)
    assert "Traceback" not in listed.stderr
    assert "none has left kernels behind" in run(farm.notebook()).stdout
