"""Direct mode in Chromium and what is between page and gateway: what blocks, what breaks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from ..support.browser_pages import Cell, NotebookPage, chromium
from ..support.direct_mode import (
    Between,
    Visit,
    at,
    channels,
    falls_back,
    indicator,
    no_ticket_in,
    port,
    spoken,
)
from ..support.programs import find_browser
from ..support.recipes import PRINTING
from ..support.servers import Farm, Server, free_port, wait_for
from ..support.shared_servers import SharedServers

pytestmark = pytest.mark.browser

LINES = 80
OUTAGE = 60  # of these lines, which take 3 seconds


@pytest.fixture(scope="module")
def public_port() -> int:
    """A port of this computer that the browser takes for one of the public internet."""
    return free_port()


@pytest.fixture(scope="module")
def browser(public_port: int) -> Iterator[Browser]:
    executable = find_browser()
    assert executable, "no Chromium; see CONTRIBUTING.md"
    option = f"--ip-address-space-overrides=127.0.0.1:{public_port}=public"
    with chromium(executable, option) as browser:
        yield browser


@pytest.fixture
def gateway(shared: SharedServers) -> Server:
    return shared.gateway("jupyter-server", addon=True)


def policy(sources: str) -> str:
    """The option of an admin's content security policy."""
    settings = {"headers": {"Content-Security-Policy": f"connect-src {sources}"}}
    return f"--ServerApp.tornado_settings={settings}"


def test_a_policy_forbids_the_gateway_until_it_has_what_the_dialog_says(
    farm: Farm, visit: Visit
) -> None:
    gateway = farm.gateway("jupyter-server", base_url="/team/", addon=True).start()
    server = farm.notebook("--mode=direct", policy("'self'"), gateway=gateway).start()
    visitor = visit(server)
    notebook = falls_back(visitor, "content security policy forbids")
    no_ticket_in(visitor, notebook)
    advice = re.search(r"Add (.*) to the policy", notebook.dialog.inner_text())
    assert advice
    option = policy(f"'self' {advice[1]}")
    server = farm.notebook("--mode=direct", option, gateway=gateway).start()
    visitor = visit(server)
    expect(indicator(visitor.open_notebook())).to_have_text("gateway · direct")
    assert channels(visitor) == [port(gateway)]


def test_a_policy_allows_the_gateway_but_not_its_websockets(
    farm: Farm, gateway: Server, visit: Visit
) -> None:
    """Then the console has the ticket, too; see docs/security.md."""
    option = policy(f"'self' {gateway.url}")
    server = farm.notebook("--mode=direct", option, gateway=gateway).start()
    falls_back(visit(server), "content security policy forbids")


def test_the_browser_keeps_public_pages_away_from_the_local_network(
    farm: Farm, gateway: Server, visit: Visit, public_port: int
) -> None:
    """Local Network Access: it asks its user, which a headless one answers with no."""
    server = farm.notebook("--mode=direct", gateway=gateway, port=public_port).start()
    visitor = visit(server)
    notebook = falls_back(visitor, "does not let this site reach devices on your local network")
    no_ticket_in(visitor, notebook)
    visitor.context.grant_permissions(["local-network-access"])
    notebook.answer_dialog("Try Direct Again")
    expect(indicator(notebook)).to_have_text("gateway · direct")
    assert notebook.run_cell("print(6 * 7)").strip() == "42"


# -- what breaks ---------------------------------------------------------------------------------


class Printing:
    """A cell that prints numbers, and does not go on from 9 until the links are broken.

    So nothing is on its way in that moment: that would be lost.
    """

    def __init__(self, notebook: NotebookPage, folder: Path) -> None:
        self.progress, self.go = folder / "progress", folder / "go"
        code = PRINTING.format(lines=LINES, progress=str(self.progress), go=str(self.go))
        self.cell: Cell = notebook.start_cell(code)
        self.cell.wait_for_text("9")

    def go_on(self) -> None:
        """Until the kernel has printed for 3 seconds."""
        self.go.touch()
        wait_for("lines", lambda: self.progress.stat().st_size >= 10 + OUTAGE)

    def wait_for_all(self) -> None:
        self.cell.wait_until_run()
        assert self.cell.text.split() == [str(number) for number in range(LINES)]


def test_the_page_is_without_network_for_a_while(
    farm: Farm, gateway: Server, link: Between, visit: Visit, tmp_path: Path
) -> None:
    direct = link(gateway)
    option = at(f"ws://localhost:{direct.port}")
    server = farm.notebook("--mode=direct", option, gateway=gateway).start()
    front = link(server)
    server.url = front.url
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    (kernel_id,) = visitor.kernel_ids()
    printing = Printing(notebook, tmp_path)
    asked_before = len(visitor.requests)
    direct.refuse()
    front.refuse()
    printing.go_on()
    expect(indicator(notebook)).to_have_text(re.compile("^gateway · connection lost at"))
    expect(spoken(notebook)).to_contain_text("connection lost at")
    direct.restore()
    front.restore()
    expect(indicator(notebook)).to_have_text("gateway · direct")
    expect(spoken(notebook)).to_have_text("gateway, direct, connected")
    printing.wait_for_all()
    assert set(channels(visitor)) == {str(direct.port)}
    # What JupyterLab asks before a pause of half a minute.
    asked = [urlsplit(url).path for url in visitor.requests[asked_before:]]
    assert f"/api/kernels/{kernel_id}" not in asked


@pytest.mark.parametrize("how", ["reset", "blackhole"])
def test_only_the_gateway_is_out_of_the_pages_reach_for_a_while(
    farm: Farm, gateway: Server, link: Between, visit: Visit, tmp_path: Path, how: str
) -> None:
    """The relay takes over, if the page is told at all; a network that is back sends the rest."""
    direct = link(gateway)
    option = at(f"ws://localhost:{direct.port}")
    server = farm.notebook("--mode=direct", option, gateway=gateway).start()
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    printing = Printing(notebook, tmp_path)
    if how == "reset":
        direct.refuse(reset=True)
    else:
        direct.blackhole()
    printing.go_on()
    if how == "reset":
        expect(indicator(notebook)).to_have_text("gateway · not direct")
    direct.restore()
    printing.wait_for_all()
    if how == "reset":
        indicator(notebook).click()
        notebook.answer_dialog("Try Direct Again")
    expect(indicator(notebook)).to_have_text("gateway · direct")
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert (port(server) in channels(visitor)) == (how == "reset")
