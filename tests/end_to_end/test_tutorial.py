"""The tutorial and the pages before it, as readers do them: taken from the pages."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from ..support.servers import PATIENCE, Farm, Server, free_port, wait_for

TOP = Path(__file__).parents[2]
HERE = Path(sys.executable).parent
NOTEBOOK = {"path": "1.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}}
CONFIGURED = """
c.ServerApp.open_browser = False
c.ServerApp.allow_root = True
"""


class Terminal:
    """Runs commands, and takes Ctrl-C."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder, self.env = folder, env
        self.running: subprocess.Popen[bytes] | None = None

    def start(self, commands: str) -> None:
        self.log = self.folder / f"terminal-{id(self)}.log"
        with self.log.open("w") as log:
            self.running = subprocess.Popen(
                ["bash", "-c", commands],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ended(self) -> bool:
        return self.running is None or self.running.poll() is not None

    def interrupt(self) -> None:
        assert self.running is not None
        os.killpg(self.running.pid, signal.SIGINT)
        self.end()

    def end(self, patience: float = PATIENCE) -> str:
        """Wait for the end of what runs, and return what it printed."""
        assert self.running is not None
        self.running.wait(patience)
        return self.log.read_text()

    def close(self) -> None:
        if self.running is not None and not self.ended():
            os.killpg(self.running.pid, signal.SIGKILL)
            self.end()


def reader(farm: Farm, path: str) -> list[Terminal]:
    """Three terminals of somebody who reads, and has these programs."""
    env = farm.env("reader", PATH=path)
    config = Path(env["JUPYTER_CONFIG_DIR"])
    config.mkdir(parents=True)
    (config / "jupyter_server_config.py").write_text(CONFIGURED)
    return [Terminal(farm.folder / "reader", env) for _ in range(3)]


@pytest.fixture
def terminals(farm: Farm) -> Iterator[list[Terminal]]:
    """With everything installed."""
    opened = reader(farm, f"{HERE}{os.pathsep}{os.environ['PATH']}")
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture
def fresh_terminals(farm: Farm) -> Iterator[list[Terminal]]:
    """With Python, and nothing of Jupyter."""
    others = [p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != HERE]
    opened = reader(farm, os.pathsep.join([f"{sys.base_prefix}/bin", *others]))
    yield opened
    for terminal in opened:
        terminal.close()


def commands(page: str) -> list[str]:
    """The blocks of commands of a page."""
    return re.findall(r"```bash\n(.*?)```", (TOP / page).read_text(encoding="utf-8"), re.DOTALL)


def answers(server: Server) -> bool:
    try:
        return bool(server.get("/api/kernelspecs").ok)
    except requests.ConnectionError:
        return False


def at(terminal: Terminal, port: int) -> Server:
    """The notebook server that is going to be started there, which is told its port and token."""
    config = Path(terminal.env["JUPYTER_CONFIG_DIR"]) / "jupyter_notebook_remote_config.py"
    config.write_text(f"c.ServerApp.port = {port}\nc.IdentityProvider.token = 'mine'\n")
    return Server([], terminal.folder / "unused", {}, f"http://localhost:{port}", "mine")


@pytest.mark.network
@pytest.mark.timeout(900)
@pytest.mark.skipif(not shutil.which("bash"), reason="the commands are for a shell")
def test_the_pages_in_order(fresh_terminals: list[Terminal], tmp_path: Path) -> None:
    """On a machine that has nothing of it: the README, the add-on's page, then the tutorial."""
    (terminal, *_) = fresh_terminals
    checkout = tmp_path / "checkout"
    others = shutil.ignore_patterns(".*", "build", "*.egg-info", "node_modules", "__pycache__")
    shutil.copytree(TOP, checkout, ignore=others)
    notebook = at(terminal, free_port())
    for each in fresh_terminals:
        each.folder = checkout
    first = commands("README.md")[0]
    assert commands("docs/index.md")[0] == first
    terminal.start(first)
    wait_for("the notebook server", lambda: terminal.ended() or answers(notebook), patience=500)
    assert not terminal.ended(), terminal.log.read_text()
    kernel_id = notebook.post("/api/sessions", NOTEBOOK).json()["kernel"]["id"]
    with notebook.channels(kernel_id) as channels:
        assert channels.run("6 * 7") == "42"
    terminal.interrupt()

    install, *steps = commands("docs/tutorial.md")
    activate = install.splitlines()[-1]
    for block in (install, f"{activate}\n{commands('gateway/README.md')[0]}"):
        terminal.start(f"set -e\n{block}")
        said = terminal.end(patience=300)
        assert terminal.running is not None
        assert terminal.running.returncode == 0, said
    follow_the_tutorial(fresh_terminals, steps, f". {checkout}/{activate.removeprefix('. ')}\n")


@pytest.mark.skipif(not shutil.which("bash"), reason="the tutorial's commands are for a shell")
def test_the_tutorial(terminals: list[Terminal]) -> None:
    follow_the_tutorial(terminals, commands("docs/tutorial.md")[1:])


def follow_the_tutorial(terminals: list[Terminal], steps: list[str], activate: str = "") -> None:
    port, other = str(free_port()), free_port()
    start, crash, again, gateway, both, doctor = (
        activate + step.replace("9999", port) for step in steps
    )
    mine, its, third = terminals
    notebook = at(mine, other)
    folder = mine.folder / "tutorial"

    mine.start(start)
    wait_for("the notebook server", lambda: answers(notebook))
    kernel_id = notebook.post("/api/sessions", NOTEBOOK).json()["kernel"]["id"]
    with notebook.channels(kernel_id) as channels:
        channels.run("x = 42")

    third.start(crash)
    assert not third.end()
    mine.end()
    mine.folder = folder
    mine.start(again)
    wait_for("the notebook server again", lambda: answers(notebook))
    (session,) = notebook.get("/api/sessions").json()
    assert session["kernel"]["id"] == kernel_id
    with notebook.channels(kernel_id) as channels:
        assert channels.run("x") == "42"
    mine.interrupt()

    its.start(gateway)
    box = Server([], folder.parent / "y", {}, f"http://localhost:{port}", "open-sesame")
    wait_for("the gateway", lambda: answers(box))
    mine.start(both)
    wait_for("the notebook server with it", lambda: answers(notebook))
    named = notebook.get("/api/kernelspecs").json()["kernelspecs"]
    assert named["python3@box"]["spec"]["display_name"] == "Python 3 (ipykernel) · box"
    its.interrupt()
    third.start(doctor)
    assert "fail  connect        Nothing listens at" in third.end()
    mine.interrupt()  # else its embedded gateway waits for the next server
