"""The page when it does not get through to the notebook server, in Chromium."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jupyter_server.auth import passwd
from playwright.sync_api import Page, expect

from ..support.backend_pages import indicator
from ..support.browser_pages import NotebookPage, Visitor
from ..support.programs import find_nginx
from ..support.servers import PATIENCE, Farm, Server, free_port, wait_for

pytestmark = pytest.mark.browser

Visit = Callable[[Server], Visitor]
PASSWORD = "open sesame"
EMPTY = json.dumps(
    {
        "cells": [],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
)

# -- who is logged out ---------------------------------------------------------------------------


def log_in(page: Page) -> None:
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def test_who_is_logged_out_is_told_so_and_keeps_the_kernel(farm: Farm, visit: Visit) -> None:
    """Logged out while the link stands, and while it is cut; logged in again in another tab."""
    server = farm.notebook(f"--PasswordIdentityProvider.hashed_password={passwd(PASSWORD, 'sha1')}")
    server.command = [c for c in server.command if not c.startswith("--IdentityProvider.token")]
    server.token = ""  # so that pages have nothing but the cookie
    visitor = visit(server.start())
    page = visitor.context.new_page()
    page.goto(f"{server.url}/tree")
    log_in(page)
    page.locator(".jp-DirListing-content").wait_for()
    page.close()
    visitor.path("a.ipynb").write_text(EMPTY)
    notebook = visitor.reopen_notebook().wait_for_kernel()
    notebook.run_cell("x = 'kept'")
    told = notebook.page.get_by_text("You are logged out")
    answered_late = visitor.context.new_page()
    answered_late.goto(f"{server.url}/logout")
    notebook.page.bring_to_front()
    expect(told).to_be_visible()
    notebook.choose("Kernel", "Reconnect to Kernel")
    expect(indicator(notebook)).to_contain_text("logged out")
    cell = notebook.start_cell("print(x)")
    with visitor.context.expect_page() as opened:
        notebook.page.get_by_role("button", name="Log In").click()
    log_in(opened.value)
    notebook.page.bring_to_front()
    cell.wait_for_text("kept")
    notebook.wait_for_kernel()
    expect(told).to_have_count(0)
    expect(notebook.dialog).to_have_count(0)
    assert "dead" not in "\n".join(visitor.diary)


# -- whose WebSockets do not get through ---------------------------------------------------------

PASSES = """proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade"; """
# As some answer them; as one does that was not told of them.
FAULTS = [*(f"if ($http_upgrade) {{ return {status}; }}" for status in (200, 400, 502)), ""]


class Proxy:
    """An nginx in front of a notebook server, which does to WebSockets what ``fault`` says."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def be(self, fault: str) -> None:
        """Start with a configuration, or go on with it."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {self.folder / kind};" for kind in kinds)
        (self.folder / "nginx.conf").write_text(
            f"daemon off; pid {self.folder / 'nginx.pid'}; events {{}}\n"
            f"http {{ {temporary} access_log off; server {{ listen 127.0.0.1:{self.port};\n"
            f"location / {{ {fault} proxy_pass {self.server.url};\n"
            "proxy_set_header Host $http_host; } } }\n"
        )
        if self.process is None:
            executable = find_nginx()
            assert executable, "no nginx; see CONTRIBUTING.md"
            log = self.folder / "nginx.log"
            command = [executable, "-p", str(self.folder), "-e", str(log), "-c", "nginx.conf"]
            self.process = subprocess.Popen(command)
        else:
            self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)


@pytest.fixture
def proxy(farm: Farm, tmp_path: Path) -> Iterator[Proxy]:
    proxy = Proxy(farm.notebook().start(), tmp_path)
    yield proxy
    proxy.stop()


@pytest.mark.nginx
def test_websockets_that_do_not_get_through_are_not_the_gateways_fault(
    proxy: Proxy, visit: Visit
) -> None:
    visitor = visit(proxy.server)
    visitor.write_notebook("a.ipynb", "python3")
    address = visitor.url("notebooks", "/a.ipynb").replace(proxy.server.url, proxy.url)
    for fault in FAULTS:
        proxy.be(fault)
        wait_for("the proxy", lambda: visitor.context.request.get(f"{proxy.url}/api").ok)
        notebook = NotebookPage(visitor.context.new_page(), wait=False)
        notebook.page.goto(address)
        told = notebook.page.get_by_text("WebSockets from this page do not reach")
        expect(told).to_be_visible()
        expect(indicator(notebook)).to_contain_text("WebSockets are blocked")
        indicator(notebook).click()
        expect(notebook.dialog).to_contain_text("proxy in front of the notebook server")
        expect(notebook.dialog).not_to_contain_text("the gateway")
        notebook.answer_dialog("Close")
        if fault:
            notebook.close()
    assert proxy.server.log.count("WebSockets of a page do not get through") == 1
    proxy.be(PASSES)
    notebook.wait_for_kernel()
    expect(told).to_have_count(0)
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
