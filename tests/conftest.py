"""Fixtures: real gateways and notebook servers, shared where a test does not change them."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser

from .certificates import Authority, Files
from .intermediary import Intermediary
from .pages import Visitor, chromium
from .processes import Farm, Server

KINDS = ["jupyter-server", "kernel-gateway", "enterprise-gateway"]
ON_GATEWAYS = [
    *(pytest.param(kind, id=kind) for kind in KINDS[:2]),
    pytest.param("enterprise-gateway", id="enterprise-gateway", marks=pytest.mark.eg),
]
EVERYWHERE = [pytest.param("embedded", id="embedded"), *ON_GATEWAYS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser, say, the tests that need it are skipped, not in CI."""
    in_ci = os.environ.get("CI") == "true"
    missing = {
        "eg": unset("NOTEBOOK_REMOTE_EG_PYTHON"),
        "hub": unset("NOTEBOOK_REMOTE_HUB_PYTHON"),
        "extensions": unset("NOTEBOOK_REMOTE_EXTENSIONS_PYTHON"),
        "browser": None if find_browser() else "chromium",
        "nginx": None if find_nginx() else "nginx",
        "certutil": None if shutil.which("certutil") else "certutil",
    }
    for item in items:
        for mark, what in missing.items():
            if what and item.get_closest_marker(mark) and not in_ci:
                item.add_marker(pytest.mark.skip(reason=f"no {what}; see CONTRIBUTING.md"))


def unset(variable: str) -> str | None:
    return None if os.environ.get(variable) else variable


def find_browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("NOTEBOOK_REMOTE_BROWSER") or next(
        filter(None, map(shutil.which, names)), None
    )


def find_nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")


@pytest.fixture(scope="session")
def shared_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    farm = Farm(tmp_path_factory.mktemp("shared"))
    yield farm
    farm.close()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """Servers that this test may break; ended with it."""
    farm = Farm(tmp_path)
    yield farm
    farm.close()


class SharedServers:
    """One gateway and one notebook server of each kind, started when first asked for."""

    def __init__(self, farm: Farm) -> None:
        self.farm = farm
        self.gateways: dict[str, Server] = {}
        self.notebooks: dict[str, Server] = {}

    def gateway(self, kind: str, addon: bool = False) -> Server:
        name = f"{kind}+addon" if addon else kind
        if name not in self.gateways:
            self.gateways[name] = self.farm.gateway(kind, addon=addon).start()
        return self.gateways[name]

    def notebook(self, kind: str) -> Server:
        if kind not in self.notebooks:
            gateway = None if kind in ("embedded", "local") else self.gateway(kind)
            options = ["--mode=local"] if kind == "local" else []
            env = {"KERNEL_USERNAME": "ada"} if kind == "enterprise-gateway" else {}
            self.notebooks[kind] = self.farm.notebook(*options, gateway=gateway, env=env).start()
        return self.notebooks[kind]


@pytest.fixture(scope="session")
def shared(shared_farm: Farm) -> SharedServers:
    return SharedServers(shared_farm)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def tls(authority: Authority) -> Files:
    """Files of a private certificate authority, and of a certificate for localhost and its key."""
    return authority.certificate("localhost", "127.0.0.1")


@pytest.fixture(params=ON_GATEWAYS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway(shared: SharedServers, kind: str) -> Server:
    """A shared gateway of each kind; tests leave it as it was."""
    return shared.gateway(kind)


@pytest.fixture
def notebook(shared: SharedServers, kind: str) -> Server:
    """A shared notebook server in front of ``gateway``."""
    return shared.notebook(kind)


@pytest.fixture(params=EVERYWHERE)
def any_notebook(request: pytest.FixtureRequest, shared: SharedServers) -> Server:
    """A shared notebook server for the embedded gateway and in front of each gateway."""
    return shared.notebook(request.param)


# One for each file with such tests: while it is open, asyncio.run() fails in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_browser()
    assert executable, "no Chromium; see CONTRIBUTING.md"
    with chromium(executable) as browser:
        yield browser


@pytest.fixture
def visit(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[[Server], Visitor]]:
    """Visit a server as somebody new. Screenshots of a test that failed are in its tmp_path."""
    visitors: list[Visitor] = []
    failed_before = request.session.testsfailed

    def visit(server: Server) -> Visitor:
        visitors.append(Visitor(browser, server))
        return visitors[-1]

    yield visit
    for visitor in visitors:
        if request.session.testsfailed > failed_before:
            visitor.leave_evidence(tmp_path)
        visitor.leave()


@pytest.fixture
def link() -> Iterator[Callable[..., Intermediary]]:
    """Puts an intermediary before a server, which is there longer than who visits it."""
    with contextlib.ExitStack() as links:
        yield lambda server, tls=None: links.enter_context(
            Intermediary(urlsplit(server.url).port, tls=tls)
        )
