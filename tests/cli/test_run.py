"""``jupyter notebook-remote run`` in a terminal, with real gateways."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from notebook_remote.headless import notebook_file
from notebook_remote.headless.notebook_run import Run

from ..support.intermediary import Intermediary
from ..support.notebooks import notebook, read, shown, until, write
from ..support.servers import PATIENCE, Farm, Server, wait_for

# What tells a gateway's kernel from one of this computer.
WHERE = "import os; print(os.environ.get('COLOUR'))"


@pytest.fixture(scope="module")
def coloured(shared_farm: Farm) -> Server:
    return shared_farm.gateway("jupyter-server", env={"COLOUR": "green"}).start()


class Terminal:
    """Somebody with a folder of notebooks, and the environment for a gateway, if any."""

    def __init__(self, farm: Farm, gateway: Server | None) -> None:
        self.folder = farm.folder / "work"
        self.folder.mkdir(exist_ok=True)
        self.env = farm.env("somebody")
        self.token = ""
        if gateway is not None:
            self.token = gateway.token
            self.env["JUPYTER_GATEWAY_URL"] = gateway.url
            self.env["JUPYTER_GATEWAY_AUTH_TOKEN"] = gateway.token

    def write(self, name: str, *cells: str, kernel: str = "python3") -> Path:
        return write(self.folder / name, *cells, kernel=kernel)

    def start(self, *words: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "notebook_remote", "run", *words],
            env=self.env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """The exit code, and all that was said."""
        program = self.start(*words)
        output = "".join(program.communicate(timeout=PATIENCE))
        assert not self.token or self.token not in output
        assert "Traceback (most recent call last):\n  File" not in output
        return program.returncode, output


@pytest.fixture
def terminal(farm: Farm, coloured: Server) -> Terminal:
    return Terminal(farm, coloured)


@pytest.fixture
def no_gateway(farm: Farm) -> Terminal:
    return Terminal(farm, None)


def no_kernels(server: Server) -> bool:
    return bool(server.get("/api/kernels").json() == [])


def test_a_notebook_runs_on_the_gateway(terminal: Terminal, coloured: Server) -> None:
    path = terminal.write("a.ipynb", WHERE, "", "1 + 1")
    code, output = terminal.run("a.ipynb")
    assert code == 0, output
    assert read(path) == ["green\n", "", "2"]
    assert coloured.token not in path.read_text()
    assert [line.partition(",")[0] for line in output.splitlines()] == [
        f"a.ipynb: its kernel runs on the gateway at {coloured.url}",
        "a.ipynb: cell 1 of 2",
        "a.ipynb: cell 2 of 2",
        "a.ipynb: done",
    ]
    assert no_kernels(coloured)
    assert is_trusted(path, terminal)


def is_trusted(path: Path, terminal: Terminal) -> bool:
    data = terminal.env["JUPYTER_DATA_DIR"]
    signed = NotebookNotary(data_dir=data)
    try:
        return bool(signed.check_signature(nbformat.read(path, as_version=4)))
    finally:
        signed.store.close()


ODD_OUTPUT = """
import os
for number in range(3):
    print("\\udce9", number)
display({"text/plain": "\\udce9", "text/x-foo": 5, "application/json": 5}, raw=True)
"""
# Whatever comes, however it is made; and the last one is not even JSON.
ODD_MESSAGES = """
kernel = get_ipython().kernel
session, socket = kernel.session, kernel.iopub_socket
parent = session.pack(kernel.get_parent()["header"])
def odd(kind, *parts):
    parts = [session.pack(session.msg_header(kind)), *parts]
    socket.send_multipart([kind.encode(), b"<IDS|MSG>", session.sign(parts), *parts])
odd("status", b"null", b"{}", b'{"execution_state": "busy"}')
odd("status", parent, b"null", b"{}")
odd("display_data", parent, b"{}", b'{"data": [1], "metadata": {}}')
odd("display_data", parent, b"{}", b'{"data": {"text/plain": "in order"}, "transient": 5}')
odd("error", parent, b"{}", b"{}")
odd("stream", parent, b"{}", b"[]")
odd("stream", parent, b"{}", b"no JSON at all")
print("end")
"""


@pytest.mark.parametrize("where", ["gateway", "here"])
def test_odd_output_costs_nothing_but_itself(
    where: str, terminal: Terminal, no_gateway: Terminal
) -> None:
    somebody = terminal if where == "gateway" else no_gateway
    cells = [ODD_OUTPUT, *([ODD_MESSAGES] if where == "gateway" else []), "print('next')"]
    path = somebody.write("a.ipynb", *cells)
    code, output = somebody.run("a.ipynb")
    assert code == 0, output
    assert "connecting again" not in output
    first, *others = nbformat.read(path, as_version=4).cells
    assert "".join(o.text for o in first.outputs[:-1]) == "".join(f"\ufffd {n}\n" for n in range(3))
    assert first.outputs[-1].data == {
        "text/plain": "\ufffd",
        "text/x-foo": "5",
        "application/json": 5,
    }
    shown_next = [shown(cell) for cell in others]
    assert shown_next[-1] == "next\n"
    if where == "gateway":
        assert output.count("cannot be read and is left out") == 2, output
        assert "in order" in shown_next[0]
        assert shown_next[0].endswith("end\n")


def test_a_cell_that_ends_its_kernel(terminal: Terminal, coloured: Server) -> None:
    path = terminal.write("a.ipynb", "1", "exit()", "open('ran', 'w').close()")
    terminal.write("b.ipynb", "2", "quit()")
    code, output = terminal.run("a.ipynb", "b.ipynb")
    assert code == 1
    assert "a.ipynb: cell 2 of 3 ended its kernel, with exit() or quit()" in output
    assert "b.ipynb: done" in output  # there was nothing after it
    assert read(path) == ["1", "", ""]
    assert not (terminal.folder / "ran").exists()
    assert no_kernels(coloured)


def test_the_notebook_names_the_kernel_that_ran(
    terminal: Terminal, no_gateway: Terminal, coloured: Server
) -> None:
    gpu = f"--gateway=gpu={coloured.url}"
    no_gateway.env["NOTEBOOK_REMOTE_GPU_AUTH_TOKEN"] = coloured.token
    path = no_gateway.write("a.ipynb", "1", kernel="ir")
    for words in ((gpu, "--kernel=python3@gpu"), ("--kernel=python3@local",)):
        no_gateway.write("a.ipynb", "1", kernel="ir")
        code, output = no_gateway.run("a.ipynb", *words)
        assert code == 0, output
        metadata = nbformat.read(path, as_version=4).metadata
        assert metadata.kernelspec == {
            "name": "python3",
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
        }
        assert metadata.language_info.name == "python"


def test_output_is_saved_within_a_long_cell(
    tmp_path: Path, no_gateway: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook_file, "SAVE_INTERVAL", 0.1)
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, no_gateway.env[name])
    path = tmp_path / "a.ipynb"
    code = (
        "import time\nprint('be' + 'gun', flush=True)\n"
        f"while 'begun' not in open({str(path)!r}).read(): time.sleep(0.02)"
    )
    write(path, code)
    Run(path, path, [], timeout=int(PATIENCE)).run(print, list, print)
    assert read(path) == ["begun\n"]


def test_a_cell_that_fails(terminal: Terminal, coloured: Server) -> None:
    path = terminal.write("a.ipynb", "1", "1 / 0", "3")
    code, output = terminal.run("a.ipynb")
    assert code == 1
    assert "a.ipynb: cell 2 of 3 failed." in output
    assert "ZeroDivisionError: division by zero" in output
    assert "--allow-errors" in output
    assert "\x1b" not in output
    assert read(path) == ["1", "ZeroDivisionError: division by zero", ""]
    code, output = terminal.run("a.ipynb", "--allow-errors")
    assert code == 0, output
    assert read(path)[2] == "3"
    assert no_kernels(coloured)


def test_what_ran_is_saved_whatever_happens(
    terminal: Terminal, coloured: Server, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    path = terminal.write(
        "a.ipynb", "print('one')", f"open({str(begun)!r}, 'w').close()\n{until(tmp_path / 'never')}"
    )
    path.chmod(0o640)
    (terminal.folder / "link.ipynb").symlink_to(path)
    program = terminal.start("link.ipynb")
    wait_for("the second cell to run", begun.exists)
    program.kill()
    program.communicate()
    assert read(path) == ["one\n", ""]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (terminal.folder / "link.ipynb").is_symlink()
    assert sorted(os.listdir(terminal.folder)) == ["a.ipynb", "link.ipynb"]
    for kernel in coloured.get("/api/kernels").json():  # nobody was there to do it
        coloured.request("DELETE", f"/api/kernels/{kernel['id']}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_kernel(
    number: signal.Signals, terminal: Terminal, farm: Farm, tmp_path: Path
) -> None:
    gateway = farm.gateway("jupyter-server").start()
    begun = tmp_path / "begun"
    path = terminal.write(
        "a.ipynb",
        "1",
        f"open({str(begun)!r}, 'w').close()\n{until(tmp_path / 'never')}",
    )
    terminal.env["JUPYTER_GATEWAY_AUTH_TOKEN"] = gateway.token
    program = terminal.start("a.ipynb", f"--gateway-url={gateway.url}")
    wait_for("the second cell to run", begun.exists)
    program.send_signal(number)
    _, errors = program.communicate(timeout=PATIENCE)
    assert program.returncode == 130
    assert errors.strip() == (
        "Interrupted in cell 2 of 2. Its kernel was shut down. What ran until then is saved in"
        " a.ipynb."
    )
    assert read(path)[0] == "1"
    assert no_kernels(gateway)


def test_an_interrupted_start_leaves_no_kernel(
    terminal: Terminal, coloured: Server, link: Callable[..., Intermediary]
) -> None:
    between = link(coloured)
    between.delay(5.0, "down")  # so that the kernel is there long before that is known
    path = terminal.write("a.ipynb", "1")
    before = path.read_text()
    program = terminal.start("a.ipynb", f"--gateway-url={between.url}")
    wait_for("the kernel to be there", lambda: not no_kernels(coloured))
    program.send_signal(signal.SIGINT)
    assert program.stderr is not None
    assert "is still being started" in program.stderr.readline()
    between.delay(0, "down")
    _, errors = program.communicate(timeout=PATIENCE)
    assert program.returncode == 130
    assert errors.strip() == "Interrupted in the start of the kernel. Its kernel was shut down."
    assert path.read_text() == before
    assert no_kernels(coloured)


def test_a_timeout(terminal: Terminal) -> None:
    path = terminal.write("a.ipynb", "import time; time.sleep(1000)", "2")
    code, output = terminal.run("a.ipynb", "--timeout=1")
    assert code == 1
    assert "cell 1 of 2 failed." in output
    assert "took more than 1 s" in output
    assert read(path)[0].startswith("KeyboardInterrupt")


def test_a_kernel_that_dies(terminal: Terminal, coloured: Server) -> None:
    terminal.write("a.ipynb", "1", "import os; os.kill(os.getpid(), 9)")
    code, output = terminal.run("a.ipynb")
    assert code == 1
    assert "cell 2 of 2 was not finished: The kernel died on the gateway" in output
    assert no_kernels(coloured)


def test_without_a_gateway_it_runs_here(no_gateway: Terminal) -> None:
    path = no_gateway.write("a.ipynb", WHERE)
    code, output = no_gateway.run("a.ipynb")
    assert code == 0, output
    assert "runs on this computer" in output
    assert read(path) == ["None\n"]
    code, output = no_gateway.run("a.ipynb", "--kernel=julia")
    assert (code, "This computer has no kernel 'julia'" in output) == (1, True)


def test_gateways_with_names(no_gateway: Terminal, coloured: Server, farm: Farm) -> None:
    """One is of the command line, one was added in a page, and one is this computer."""
    other = farm.gateway("kernel-gateway", token="").start()
    folder = Path(no_gateway.env["JUPYTER_DATA_DIR"]) / "notebook-remote"
    folder.mkdir(parents=True)
    (folder / "gateways.json").write_text(json.dumps({"team": {"url": other.url}}))
    no_gateway.env["NOTEBOOK_REMOTE_GPU_AUTH_TOKEN"] = coloured.token
    path = no_gateway.write("a.ipynb", WHERE)
    gpu = f"--gateway=gpu={coloured.url}"
    code, output = no_gateway.run("a.ipynb", gpu)
    assert code == 1
    assert "choose python3@gpu or python3@team. Give the kernel with --kernel=NAME" in output
    colours = []
    for kernel in ("python3@gpu", "python3@local"):
        code, output = no_gateway.run("a.ipynb", gpu, f"--kernel={kernel}")
        assert code == 0, output
        colours += read(path)
    assert colours == ["green\n", "None\n"]


def test_a_configuration_file(no_gateway: Terminal, coloured: Server) -> None:
    folder = Path(no_gateway.env["JUPYTER_CONFIG_DIR"])
    folder.mkdir(parents=True)
    text = f"c.Gateway.url = {coloured.url!r}\nc.Gateway.auth_token = {coloured.token!r}\n"
    (folder / "jupyter_notebook_remote_config.py").write_text(text)
    path = no_gateway.write("a.ipynb", WHERE)
    code, output = no_gateway.run("a.ipynb")
    assert code == 0, output
    assert read(path) == ["green\n"]


def test_several_notebooks_and_a_folder_for_them(terminal: Terminal) -> None:
    paths = [terminal.write(f"{name}.ipynb", code) for name, code in (("a", "1 / 0"), ("b", "2"))]
    code, output = terminal.run("a.ipynb", "b.ipynb", "--output=done")
    assert (code, "mkdir done makes it" in output) == (1, True)
    (terminal.folder / "done").mkdir()
    code, output = terminal.run("a.ipynb", "b.ipynb", "--output=done")
    assert code == 1
    assert "b.ipynb: done, saved in done/b.ipynb" in output
    assert [read(path) for path in paths] == [[""], [""]]
    assert read(terminal.folder / "done" / "b.ipynb") == ["2"]
    terminal.write("c/b.ipynb", "3")
    code, output = terminal.run("b.ipynb", "c/b.ipynb", "--output=done")
    assert code == 1
    assert "b.ipynb and c/b.ipynb would both be saved in done/b.ipynb" in output
    assert read(terminal.folder / "done" / "b.ipynb") == ["2"]


def test_mistakes_are_sentences(terminal: Terminal) -> None:
    (terminal.folder / "bad.ipynb").write_text("no notebook")
    terminal.write("a.ipynb", "1", kernel="julia")
    for words, sentence in {
        (): "Which notebook?",
        ("missing.ipynb",): "missing.ipynb cannot be run: No such file or directory: missing.ipynb",
        ("bad.ipynb",): "bad.ipynb cannot be run: Notebook does not appear to be JSON",
        (
            "a.ipynb",
            "--output=missing/b.ipynb",
        ): "a.ipynb cannot be run: There is no folder: missing",
        ("a.ipynb",): "has no kernelspec 'julia'. It has: python3",
        ("a.ipynb", "--gateway-url=http://localhost:1"): "Nothing listens at http://localhost:1",
        ("a.ipynb", "--gateway-token=wrong"): "refused our token",
    }.items():
        code, output = terminal.run(*words)
        assert code == 1, output
        assert sentence in output


def test_the_other_notebooks_run_after_one_that_is_none(no_gateway: Terminal) -> None:
    (no_gateway.folder / "null.ipynb").write_text("null")
    (no_gateway.folder / "deep.ipynb").write_text("[" * 100_000)
    repaired = notebook("6 * 7")
    repaired.metadata.kernelspec = repaired.cells[0].metadata.tags = None
    (no_gateway.folder / "a.ipynb").write_text(json.dumps(repaired))
    code, output = no_gateway.run("null.ipynb", "deep.ipynb", "missing.ipynb", "a.ipynb")
    assert code == 1
    assert "null.ipynb cannot be run: It is no notebook" in output
    assert "deep.ipynb cannot be run: It is nested too deeply" in output
    assert "a.ipynb: done" in output
    assert read(no_gateway.folder / "a.ipynb") == ["42"]


def test_a_terminal_has_a_bar(terminal: Terminal) -> None:
    terminal.write("a.ipynb", "1", "2")
    ours, its = pty.openpty()
    program = terminal.start("a.ipynb", stderr=its)
    os.close(its)
    shown = b""
    with contextlib.suppress(OSError):  # the end, on Linux
        while piece := os.read(ours, 1024):
            shown += piece
    os.close(ours)
    output, _ = program.communicate(timeout=PATIENCE)
    assert program.returncode == 0, shown
    assert b"0/2" in shown
    assert "cell 1 of 2" not in output
