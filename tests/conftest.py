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

from .support.browser_pages import Visitor, chromium
from .support.certificates import Authority, Files
from .support.intermediary import Intermediary
from .support.programs import find_browser, find_nginx, unset
from .support.servers import Farm, Server
from .support.shared_servers import EVERYWHERE, KINDS, ON_GATEWAYS, SharedServers


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


@pytest.fixture(scope="session")
def shared(shared_farm: Farm) -> SharedServers:
    return SharedServers(shared_farm)


@pytest.fixture(params=ON_GATEWAYS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway(shared: SharedServers, kind: str) -> Server:
    """A shared gateway of each kind; tests leave it as it was."""
    return shared.gateway(kind)


# Left out by --quick: what needs a browser, other environments, or minutes.
SLOW_MARKS = ("browser", "eg", "extensions", "hub", "network", "nginx", "outages")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Called by pytest."""
    parser.addoption(
        "--quick",
        action="store_true",
        help="only tests without servers of their own, on one kind of gateway, without a browser",
    )


def is_quick(item: pytest.Item) -> bool:
    """Whether a test is one for --quick."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    kinds = {value for value in parameters if isinstance(value, str)} & {*KINDS, "embedded"}
    marked = any(item.get_closest_marker(mark) for mark in SLOW_MARKS)
    own_servers = "farm" in getattr(item, "fixturenames", ())
    return not marked and not own_servers and kinds <= {"jupyter-server"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a browser, say, the tests that need it are skipped, not in CI."""
    if config.getoption("--quick"):
        config.hook.pytest_deselected(items=[item for item in items if not is_quick(item)])
        items[:] = filter(is_quick, items)
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


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def tls(authority: Authority) -> Files:
    """Files of a private certificate authority, and of a certificate for localhost and its key."""
    return authority.certificate("localhost", "127.0.0.1")


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
