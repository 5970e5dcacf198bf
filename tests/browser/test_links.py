"""What a person sees in the page when a link breaks, or when a message is too large for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from ..support.browser_pages import Visitor
from ..support.browser_recipes import UPLOADED, upload
from ..support.intermediary import Intermediary
from ..support.servers import PATIENCE, Farm, Server, wait_for
from ..support.shared_servers import SharedServers

pytestmark = pytest.mark.browser

Visit = Callable[[Server], Visitor]
NOT_CONNECTED = re.compile("connecting|disconnected|unknown")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["close", "blackhole"])
def test_a_cell_started_while_the_link_is_down_runs_once_when_it_is_back(
    farm: Farm, visit: Visit, how: str
) -> None:
    """The page sees at once that it is not connected, or within 15 seconds that nothing comes."""
    gateway = farm.gateway("kernel-gateway").start()
    with Intermediary(urlsplit(gateway.url).port or 0) as link:
        env = {"JUPYTER_GATEWAY_URL": link.url, "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token}
        notebook = visit(farm.notebook(env=env).start()).open_notebook().wait_for_kernel()
        notebook.run_cell("runs = []; print('ready')")
        if how == "close":
            link.refuse()
            notebook.wait_for_status(NOT_CONNECTED)
        else:
            link.blackhole()
            indicator = notebook.page.locator(".nbr-Indicator button")
            expect(indicator).to_contain_text("not answering", timeout=1000 * PATIENCE)
        cell = notebook.start_cell("runs.append(1); print('runs:', len(runs))")
        expect(cell.where).to_contain_text("[*]")
        link.restore(forget=True)
        cell.wait_for_text("runs: 1")
        assert notebook.run_cell("print(sum(runs))").strip() == "1"


def test_an_upload_that_the_gateway_refuses_is_told(shared: SharedServers, visit: Visit) -> None:
    """Stock gateways take 10 MiB; the stock client loses the file without a word (facts 2)."""
    notebook = visit(shared.notebook("kernel-gateway")).open_notebook().wait_for_kernel()
    upload(notebook, 11_000_000)
    told = notebook.page.get_by_text(re.compile("was not sent to the kernel"))
    expect(told.first).to_be_visible()
    notebook.page.get_by_role("button", name="What to do").click()
    expect(notebook.dialog).to_contain_text("Send less at once.")
    expect(notebook.dialog).not_to_contain_text("--")
    notebook.answer_dialog("Close")
    assert notebook.run_cell("print(len(upload.value))").strip() == "0"  # and it goes on


def test_the_same_upload_reaches_an_embedded_gateway(shared: SharedServers, visit: Visit) -> None:
    notebook = visit(shared.notebook("embedded")).open_notebook().wait_for_kernel()
    content = upload(notebook, 11_000_000)
    digest = hashlib.sha256(content).hexdigest()
    wait_for("the file", lambda: digest in notebook.run_cell(UPLOADED))


def test_a_cell_that_is_too_large_says_so(shared: SharedServers, visit: Visit) -> None:
    visitor = visit(shared.notebook("kernel-gateway"))
    line = "y" * 199 + "\n"
    visitor.write_notebook("a.ipynb", "python3", f"x = '''{line * 55_000}'''")
    notebook = visitor.reopen_notebook("a.ipynb").wait_for_kernel()
    notebook.choose("Run", "Run All Cells")
    notebook.cell(0).wait_for_text("was not sent to the kernel")
    expect(notebook.cell(0).where).not_to_contain_text("[*]")
    assert notebook.run_cell("print('on it goes')").strip() == "on it goes"
