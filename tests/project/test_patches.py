"""What the patches in ``patches/`` mend: fails on the pristine upstreams, passes on the patched.

With an upstream release that has it mended these turn red ("XPASS"), and the patch is deleted.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import nbformat.v4
import pytest
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager

from patches.__main__ import LOCAL_VERSION, QUEUE, read_queue

from ..support.servers import PATIENCE, wait_for
from ..support.shared_servers import SharedServers

RELEASE, _, LOCAL = version("jupyter_server").partition("+")
PATCHED = LOCAL == LOCAL_VERSION
pytestmark = [
    pytest.mark.skipif(
        all(f"jupyter_server=={RELEASE}" != release.requirement for release in read_queue(QUEUE)),
        reason="no patches for this jupyter_server",
    ),
    pytest.mark.xfail(not PATCHED, reason="the pristine upstream", strict=True),
]

INTERRUPTED = """
import io, os, signal, sys
from jupyter_server.serverapp import ServerApp

class Interrupted(io.RawIOBase):
    def writable(self):
        return True

    def write(self, data):
        if b"a line" in bytes(data):
            os.kill(os.getpid(), signal.SIGTERM)
        return os.write(2, data)

app = ServerApp()
app.initialize(["--no-browser", "--allow-root", "--port=0", f"--ServerApp.root_dir={os.getcwd()}"])
sys.stderr = io.TextIOWrapper(io.BufferedWriter(Interrupted()), write_through=True)
for handler in app.log.handlers:
    handler.setStream(sys.stderr)
app.io_loop.add_callback(app.log.info, "a line")
app.start()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_signal_in_the_middle_of_logging_stops_the_server(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-c", INTERRUPTED], cwd=tmp_path, stderr=log)
    try:

        def ended_or_lost() -> bool:
            return server.poll() is not None or "reentrant call" in (tmp_path / "log").read_text()

        wait_for("the signal to have an effect", ended_or_lost)
        assert "reentrant call" not in (tmp_path / "log").read_text()
        assert server.wait(PATIENCE) == 0
    finally:
        server.kill()
        server.wait()


def test_pages_that_leave_in_the_handshake_are_not_miscounted(shared: SharedServers) -> None:
    gateway = shared.gateway("jupyter-server")
    with gateway.kernel() as kernel_id:
        for _ in range(20):
            gateway.hang_up_in_handshake(kernel_id)
        with gateway.channels(kernel_id) as channels:
            channels.run("1")
            wait_for("one", lambda: gateway.connections(kernel_id) == 1, patience=10)
        wait_for("none", lambda: gateway.connections(kernel_id) == 0, patience=10)


def test_a_notebook_is_read_while_it_is_saved(tmp_path: Path) -> None:
    """The file is long enough for a read to fall into its writing."""
    cells = [nbformat.v4.new_code_cell("x" * 1_000_000) for _ in range(30)]
    model = {"type": "notebook", "content": nbformat.v4.new_notebook(cells=cells)}

    async def both() -> None:
        manager = AsyncFileContentsManager(root_dir=str(tmp_path))
        await manager.save(model, "a.ipynb")
        saving = asyncio.create_task(manager.save(model, "a.ipynb"))
        while not saving.done():
            await manager.get("a.ipynb")
        await saving

    asyncio.run(both())
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a.ipynb"]
