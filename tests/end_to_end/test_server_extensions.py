"""Other people's extensions in our server use kernels by jupyter_server's own API."""

from __future__ import annotations

import os
from collections.abc import Iterator

import nbformat.v4
import pytest

from ..support.servers import Farm, Server
from ..support.shared_servers import EVERYWHERE, SharedServers

pytestmark = pytest.mark.extensions


@pytest.fixture(scope="module", params=["local", *EVERYWHERE])
def notebook(
    request: pytest.FixtureRequest, shared: SharedServers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One with voila and jupyter-resource-usage, for each place where kernels run."""
    kind = request.param
    farm = Farm(tmp_path_factory.mktemp("extensions"))
    gateway = None if kind in ("local", "embedded") else shared.gateway(kind)
    options = ["--mode=local"] if kind == "local" else []
    server = farm.notebook(*options, gateway=gateway, env={"KERNEL_USERNAME": "ada"})
    server.command[0] = os.environ["NOTEBOOK_REMOTE_EXTENSIONS_PYTHON"]
    yield server.start()
    farm.close()


def test_voila_shows_a_notebook(notebook: Server) -> None:
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("print('seven', 3 + 4)")],
        metadata={"kernelspec": kernelspec},
    )
    nbformat.write(document, notebook.folder / "a.ipynb")
    before = len(notebook.get("/api/kernels").json())
    page = notebook.get("/voila/render/a.ipynb")
    assert page.status_code == 200
    assert "seven 7" in page.text, page.text[-2000:]
    assert len(notebook.get("/api/kernels").json()) == before + 1  # its page shuts it down


def test_resource_usage_gets_an_answer(notebook: Server) -> None:
    with notebook.kernel() as kernel_id:
        usage = notebook.get(f"/api/metrics/v1/kernel_usage/get_usage/{kernel_id}")
        assert usage.status_code == 200, usage.text
        assert usage.json()["kernel_id"] == kernel_id
    assert "Traceback" not in notebook.log
