"""Pytest plugin: jupyter_server's own tests against a server that runs in another process.

Upstream's fixtures start a server within the test's process. These take their place and lead to
the server named by the environment, which all tests share: what a test leaves there is removed.
Loaded by ``tests/end_to_end/test_upstream.py``, in a pytest of its own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from exempt import EXEMPT
from tornado.simple_httpclient import SimpleAsyncHTTPClient

URL = urlsplit(os.environ["UPSTREAM_URL"])
TOKEN = os.environ["UPSTREAM_TOKEN"]
ROOT = Path(os.environ["UPSTREAM_ROOT"])  # the server's directory of notebooks
DATA = Path(os.environ["UPSTREAM_DATA"])  # the Jupyter data directory where kernels start
REFERENCE = bool(os.environ.get("UPSTREAM_REFERENCE"))  # the server is jupyter_server itself
TEST_TIMEOUT = 60  # seconds; upstream's own are for an idle machine
CLEANUP_TIMEOUT = 20
HEADERS = {"Authorization": f"token {TOKEN}"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep what speaks HTTP, once: upstream repeats it for each class of kernel manager.

    Exempt tests have to fail with jupyter_server itself, and are left out with other servers.
    """
    chosen = {name(item): item for item in reversed(items) if "jp_fetch" in fixtures(item)}
    if unknown := EXEMPT.keys() - chosen.keys():
        raise pytest.UsageError(f"exempt.py names tests that do not exist: {sorted(unknown)}")
    for test, reason in EXEMPT.items():
        if REFERENCE:
            chosen[test].add_marker(pytest.mark.xfail(reason=reason, strict=True))
        else:
            del chosen[test]
    for item in chosen.values():
        item.add_marker(pytest.mark.timeout(TEST_TIMEOUT), append=False)
    kept = [item for item in items if item in chosen.values()]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def name(item: pytest.Item) -> str:
    """As in exempt.py: ``kernels/test_api.py::test_no_kernels``, without parameters."""
    return item.nodeid.partition("[")[0].removeprefix("tests/services/")


def fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


class ServerClient(SimpleAsyncHTTPClient):
    """Fetches paths from the server."""

    def fetch(self, request: str, **options: Any) -> Any:
        return super().fetch(f"{URL.scheme}://{URL.netloc}{request}", **options)


@pytest.fixture
def http_server_client(jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[ServerClient]:
    async def make() -> ServerClient:
        return ServerClient(force_instance=True)

    with closing(jp_asyncio_loop.run_until_complete(make())) as client:
        yield client


@pytest.fixture
def jp_http_port() -> int | None:
    return URL.port


@pytest.fixture
def jp_base_url() -> str:
    return f"{URL.path.rstrip('/')}/"


@pytest.fixture
def jp_auth_header() -> dict[str, str]:
    return dict(HEADERS)


@pytest.fixture
def jp_root_dir() -> Path:
    return ROOT


@pytest.fixture
def jp_data_dir() -> Path:
    return DATA


@pytest.fixture(scope="session")
def default_kernel_name() -> str:
    """Asked once, well before the tests of lists, which may be as old as ``poll_interval``."""
    return str(get("api/kernelspecs")["default"])


@pytest.fixture
def jp_serverapp(jp_server_config: dict[str, Any], default_kernel_name: str) -> SimpleNamespace:
    """What upstream's tests read of the server app to know what to expect over HTTP.

    Nothing is known of the manager of one kernel. The configuration that a test asks for is for
    the class of kernel managers, which is the server's own here.
    """
    kernel_manager = SimpleNamespace(
        use_pending_kernels=False,
        default_kernel_name=default_kernel_name,
        get_kernel=lambda kernel_id: SimpleNamespace(kernel_id=kernel_id),
    )
    return SimpleNamespace(kernel_manager=kernel_manager, root_dir=str(ROOT))


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> Iterator[None]:
    """The next test finds no session, no kernel, no file and no kernelspec of this one."""
    yield
    for what in ("sessions", "kernels"):
        for model in get(f"api/{what}"):
            call("DELETE", f"api/{what}/{model['id']}")
    deadline = time.monotonic() + CLEANUP_TIMEOUT
    while get("api/kernels") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert get("api/kernels") == []
    shutil.rmtree(DATA / "kernels", ignore_errors=True)
    for path in ROOT.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def call(method: str, path: str) -> requests.Response:
    return requests.request(
        method, f"{URL.geturl().rstrip('/')}/{path}", headers=HEADERS, timeout=30
    )


def get(path: str) -> Any:
    response = call("GET", path)
    response.raise_for_status()
    return response.json()
