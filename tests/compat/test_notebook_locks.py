"""Notebooks' files: none is lost, and none waits for a gateway."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat.v4

from ..support.recipes import new_session, several, specs
from ..support.servers import Farm, Server, wait_for


def test_a_notebook_is_read_while_it_is_saved(farm: Farm) -> None:
    """The stock server's file is gone after a while (jupyter_server 2.21.1)."""
    notebook = farm.notebook("--mode=local").start()
    cells = [nbformat.v4.new_code_cell("x" * 50_000) for _ in range(20)]
    content = nbformat.v4.new_notebook(cells=cells)
    model = {"type": "notebook", "format": "json", "content": content}
    path = "/api/contents/a.ipynb"
    (notebook.folder / "copies").mkdir()
    assert notebook.request("PUT", path, json=model).status_code == 201

    def copy(number: int) -> set[int]:
        body = {"copy_from": "a.ipynb"}
        return {notebook.post("/api/contents/copies", body).status_code - 1 for _ in range(10)}

    def save(number: int) -> set[int]:
        return {notebook.request("PUT", path, json=model).status_code for _ in range(10)}

    def read(number: int) -> set[int]:
        other = "/nbconvert/script/a.ipynb" if number == 0 else path
        return {notebook.get(other).status_code for _ in range(20)}

    with ThreadPoolExecutor(6) as pool:
        saving = pool.map(save, range(2))
        reading = pool.map(read, range(3))
        copying = pool.map(copy, range(1))
        assert [*saving, *reading, *copying] == [{200}] * 6
    assert [file.name for file in notebook.folder.iterdir() if file.is_file()] == ["a.ipynb"]
    assert notebook.get(path).json()["content"]["cells"][19]["source"] == "x" * 50_000


def test_files_and_other_kernels_do_not_wait_for_a_gateway_that_stands_still(farm: Farm) -> None:
    still = farm.gateway("jupyter-server").start()
    notebook = several(farm, "--mode=local", still=still).start()
    wait_for(
        "both to be listed", lambda: set(specs(notebook)) == {"python3@local", "python3@still"}
    )
    document = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3@still", "display_name": "x"}}
    )
    model = {"type": "notebook", "format": "json", "content": document}
    assert notebook.request("PUT", "/api/contents/a.ipynb", json=model).status_code == 201
    still.signal(signal.SIGSTOP)
    try:
        assert until_quick(notebook, "/api/contents/a.ipynb")
        assert until_quick(notebook, "/api/sessions")
        began = time.monotonic()
        new_session(notebook, "b.ipynb", "python3@local")
        for _ in range(10):
            assert notebook.get("/api/contents/a.ipynb").ok
            assert notebook.get("/api/sessions").ok
            assert notebook.get("/api/kernelspecs").ok
        assert time.monotonic() - began < 10  # each of them took 2 s
    finally:
        still.signal(signal.SIGCONT)
    text = Path(notebook.folder / "a.ipynb").read_text()
    assert '"name": "python3"' in text


def until_quick(notebook: Server, path: str) -> bool:
    """Ask once: one who asks first may find out that somebody does not answer."""
    return bool(notebook.get(path).ok)
