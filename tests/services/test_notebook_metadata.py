"""Kernelspecs in notebooks: public names in pages, the backend's own names in files."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Configurable

from notebook_remote.backends.registry import BackendRegistry
from notebook_remote.backends.remote.backend import GatewayBackend
from notebook_remote.backends.remote.gateway import ManagedGateway
from notebook_remote.backends.remote.kernelspecs import RemoteKernelSpecManager
from notebook_remote.backends.remote.multikernel_manager import RemoteMappingKernelManager
from notebook_remote.config.gateway import Gateway
from notebook_remote.services.notebook_metadata import (
    for_file,
    for_page,
    metadata_and_kernelspec,
)
from notebook_remote.storage.session_store import SessionStore

PYTHON = {"python3": {"spec": {"display_name": "Python 3"}}}
R = {"ir": {"spec": {"display_name": "R"}}}


def with_backends(
    folder: Path, specs: dict[str, dict[str, Any]], test: Callable[[BackendRegistry], None]
) -> None:
    """Run a test with a gateway for each name, which has listed these kernelspecs."""
    store = SessionStore(folder, str(folder), logging.getLogger())

    async def run() -> None:
        backends = BackendRegistry()
        for name, listed in specs.items():
            config = Gateway(given_name=name, options={"url": f"http://{name}:8888"})
            gateway = ManagedGateway(config, store, lambda event: None)
            manager = RemoteKernelSpecManager(parent=Configurable(), gateway=gateway)
            manager.last_specs = listed
            kernels = RemoteMappingKernelManager(gateway=gateway, kernel_spec_manager=manager)
            backends.add(GatewayBackend(gateway, kernels, manager))
        test(backends)
        for backend in backends:
            await backend.close()

    asyncio.run(run())
    store.close()


def test_a_page_gets_the_public_name_of_the_last_backend(tmp_path: Path) -> None:
    def test(backends: BackendRegistry) -> None:
        saved = {"name": "python3", "display_name": "Python 3", "language": "python"}
        on_gpu = for_page(saved, backends, "gateway gpu")
        assert on_gpu == {**saved, "name": "python3@gpu", "display_name": "Python 3 · gpu"}
        assert for_file(on_gpu, backends) == saved

    with_backends(tmp_path, {"cpu": PYTHON | R, "gpu": PYTHON}, test)


def test_a_name_of_one_backend_is_not_qualified(tmp_path: Path) -> None:
    def test(backends: BackendRegistry) -> None:
        saved = {"name": "ir", "display_name": "R"}
        assert for_page(saved, backends, "gateway cpu")["name"] == "ir"
        assert for_file({"name": "ir", "display_name": "R · cpu"}, backends) == saved

    with_backends(tmp_path, {"cpu": PYTHON | R, "gpu": PYTHON}, test)


def test_a_name_without_a_last_backend_stays(tmp_path: Path) -> None:
    def test(backends: BackendRegistry) -> None:
        saved = {"name": "python3", "display_name": "Python 3"}
        assert for_page(saved, backends, None) == saved
        assert for_page({}, backends, "gateway gpu") == {}
        # The kernelspecs of gpu are not listed yet, and those of cpu are no substitute.
        assert for_page(saved, backends, "gateway gpu")["name"] == "python3@gpu"

    with_backends(tmp_path, {"cpu": PYTHON, "gpu": {}}, test)


def test_a_file_names_no_backend_that_was_removed(tmp_path: Path) -> None:
    def test(backends: BackendRegistry) -> None:
        shown = {"name": "python3@old", "display_name": "Python 3 · old"}
        assert for_file(shown, backends) == {"name": "python3", "display_name": "Python 3"}
        assert for_file({}, backends) == {}

    with_backends(tmp_path, {"cpu": PYTHON, "gpu": PYTHON}, test)


@pytest.mark.parametrize(
    "model",
    [{}, {"content": "text"}, {"content": {"metadata": []}}, {"content": {"metadata": {}}}],
)
def test_what_is_no_notebook_has_no_kernelspec(model: dict[str, Any]) -> None:
    assert metadata_and_kernelspec(model) is None


def test_the_kernelspec_of_a_notebook() -> None:
    metadata = {"kernelspec": {"name": "python3"}}
    model = {"content": {"metadata": metadata}}
    assert metadata_and_kernelspec(model) == (metadata, {"name": "python3"})
