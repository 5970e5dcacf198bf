"""A signal is not lost, whatever the server was doing when it came."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ..support.recipes import answers
from ..support.servers import PATIENCE, Farm, wait_for


@contextmanager
def writing_its_log(farm: Farm) -> Iterator[subprocess.Popen[bytes]]:
    """A notebook server that stands in a write to its log, which nobody reads until the end."""
    notebook = farm.notebook("--mode=local")
    process = subprocess.Popen(
        notebook.command,
        cwd=notebook.folder,
        env=notebook.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        wait_for("an answer", lambda: answers(notebook.url))
        while answers(f"{notebook.url}/nothing/{'x' * 10_000}"):
            pass  # each is logged, with its address
        yield process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_though_it_was_writing_its_log(farm: Farm, number: int) -> None:
    with writing_its_log(farm) as process:
        process.send_signal(number)
        assert process.stderr is not None
        read: list[bytes] = []
        reader = threading.Thread(target=lambda: read.extend(process.stderr or []))
        reader.start()
        process.wait(PATIENCE)
        reader.join()
    log = b"".join(read).decode()

    assert "stopping" in log
    assert "Traceback" not in log
