"""Browser mode in Chromium: the page alone speaks to the gateway, whose name nobody else knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from ..support.browser_mode import (
    EG,
    HOST,
    KINDS,
    Pair,
    enter,
    interrupt_and_restart,
    opened,
    ports,
    token_field,
)
from ..support.browser_pages import NotebookPage, Visitor, chromium
from ..support.browser_recipes import IMAGE, SLIDER, UPLOADED, upload
from ..support.intermediary import Intermediary
from ..support.programs import find_browser
from ..support.servers import Farm, Server, free_port, wait_for
from ..support.shared_servers import SharedServers

pytestmark = pytest.mark.browser

Visit = Callable[[Server], Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_browser()
    assert executable, "no Chromium; see CONTRIBUTING.md"
    with chromium(executable, f"--host-resolver-rules=MAP {HOST} 127.0.0.1") as browser:
        yield browser


class Pairs:
    """One pair of each kind, started when first asked for."""

    def __init__(self, farm: Farm) -> None:
        self.farm = farm
        self.pairs: dict[str, Pair] = {}

    def __call__(self, kind: str) -> Pair:
        if kind not in self.pairs:
            self.pairs[kind] = Pair(self.farm, kind)
        return self.pairs[kind]


@pytest.fixture(scope="module")
def pairs(shared: SharedServers) -> Pairs:
    return Pairs(shared.farm)


def kernels_of(pair: Pair) -> list[str]:
    """The ids that the notebook server keeps."""
    return [s["kernel"]["id"] for s in pair.notebook.get("/api/sessions").json()]


def alive(pair: Pair, kernel_id: str) -> bool:
    return pair.gateway.get(f"/api/kernels/{kernel_id}").status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_does_everything_itself(pairs: Pairs, kind: str, visit: Visit) -> None:
    pair = pairs(kind)
    visitor = visit(pair.notebook)
    notebook = opened(visitor, pair)
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    if kind != "enterprise-gateway":  # whose environment has no ipywidgets
        cell = notebook.start_cell(SLIDER)
        cell.output.locator(".noUi-handle").press("PageUp")
        cell.wait_for_text("the kernel has 12")
        cell = notebook.start_cell(IMAGE)
        expect(cell.output.locator("img")).to_have_js_property("naturalWidth", 256)
        content = upload(notebook, 2_000_000)
        wait_for("the file", lambda: str(len(content)) in notebook.run_cell(UPLOADED))
    interrupt_and_restart(notebook)
    indicator = notebook.page.get_by_role("button", name="Connection to the kernel")
    expect(indicator).to_have_text("gateway · browser")

    server_port = urlsplit(pair.notebook.url).port
    assert ports(visitor.websockets, "/channels") == {pair.port}
    assert ports(visitor.requests, "/kernels") == {pair.port}
    assert ports(visitor.requests, "/kernelspecs") == {pair.port}
    assert ports(visitor.requests, "/api/sessions") == {server_port}
    assert "/api/kernel" not in pair.notebook.log
    assert pair.gateway.token not in pair.notebook.log
    assert [line for line in visitor.diary if "nr_token" in line] == []
    assert pair.gateway.token not in str([*visitor.requests, *visitor.websockets])


@pytest.mark.parametrize("kind", ["jupyter-server", EG])
def test_reloads_and_other_tabs_have_the_same_kernel(pairs: Pairs, kind: str, visit: Visit) -> None:
    """The tab keeps a pass, and not the token; another one asks for the token, once."""
    pair = pairs(kind)
    visitor = visit(pair.notebook)
    notebook = opened(visitor, pair)
    notebook.run_cell("x = 'kept'")
    notebook.save()
    kept = notebook.page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")
    assert pair.gateway.token not in kept
    assert "pass" in kept
    notebook.reload()
    notebook.wait_for_kernel()
    assert notebook.run_cell("print(x)").strip() == "kept"
    notebook.save()
    other = visitor.reopen_notebook(wait=False)
    enter(other, pair.gateway.token)
    other.wait_for_kernel()
    assert other.run_cell("print(x)").strip() == "kept"


def test_no_kernel_is_left_behind(pairs: Pairs, visit: Visit) -> None:
    """A kernel that is changed or shut down ends at the gateway; one that ended there is gone."""
    pair = pairs("kernel-gateway")
    visitor = visit(pair.notebook)
    notebook = opened(visitor, pair)
    (first,) = visitor.kernel_ids()
    notebook.choose("Kernel", "Change Kernel…")
    notebook.dialog.locator("select").select_option(label="Python 3 (ipykernel) · gateway")
    notebook.answer_dialog("Select")
    wait_for("another kernel", lambda: visitor.kernel_ids() not in ([], [first]))
    (second,) = visitor.kernel_ids()
    wait_for("the end of the first", lambda: not alive(pair, first))
    notebook.wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    notebook.choose("Kernel", "Shut Down Kernel")
    expect(notebook.kernel_name).to_have_text("No Kernel")
    assert not alive(pair, second)
    assert visitor.kernel_ids() == []

    other = NotebookPage(notebook.page)
    other.reload()
    other.wait_for_kernel()
    (third,) = visitor.kernel_ids()
    pair.gateway.request("DELETE", f"/api/kernels/{third}")
    expect(other.kernel_name).to_have_text("No Kernel")
    assert visitor.kernel_ids() == []


def test_what_is_wrong_with_a_token_is_said_and_it_can_be_entered_later(
    pairs: Pairs, visit: Visit
) -> None:
    pair = pairs("jupyter-server")
    visitor = visit(pair.notebook)
    visitor.write_notebook("a.ipynb", "python3")
    notebook = visitor.reopen_notebook(wait=False)
    expect(token_field(notebook)).to_be_focused()
    enter(notebook, "wrong")
    expect(notebook.dialog).to_contain_text("does not accept this token")
    notebook.answer_dialog("Not Now")
    notebook.answer_dialog("No Kernel")
    notebook.page.get_by_role("button", name="Sign In").click()
    enter(notebook, pair.gateway.token)
    expect(notebook.page.get_by_text("The gateway can be used again")).to_be_visible()


def test_a_gateway_without_the_add_on_does_not_answer_and_the_page_says_what_it_needs(
    farm: Farm, visit: Visit
) -> None:
    pair = Pair(farm, "kernel-gateway", addon=False)
    visitor = visit(pair.notebook)
    visitor.write_notebook("a.ipynb", "python3")
    notebook = visitor.reopen_notebook(wait=False)
    enter(notebook, pair.gateway.token)
    expect(notebook.dialog).to_contain_text("Install notebook-remote-gateway")
    expect(notebook.dialog).to_contain_text(f"NOTEBOOK_REMOTE_ALLOWED_ORIGINS={pair.notebook.url}")
    pair.gateway.kill()
    enter(notebook, pair.gateway.token)
    expect(notebook.dialog).to_contain_text("does not reach")


@pytest.mark.parametrize("kind", ["jupyter-server", EG])
def test_with_the_insecure_option_stock_gateways_take_the_token_itself(
    farm: Farm, kind: str, visit: Visit
) -> None:
    """Where they allow the page's origin; Kernel Gateway 3.0.1 cannot (facts, browser security)."""
    pair = Pair(farm, kind, "--Gateway.insecure_token_in_page=True", addon=False)
    visitor = visit(pair.notebook)
    notebook = opened(visitor, pair)
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    notebook.reload()
    notebook.wait_for_kernel()
    assert pair.gateway.token not in pair.notebook.log


def test_a_broken_link_loses_nothing(farm: Farm, visit: Visit) -> None:
    """As in direct mode the gateway keeps what the page misses."""
    port = free_port()
    with Intermediary(port) as link:
        pair = Pair(farm, "kernel-gateway", port=port, via=link.port)
        visitor = visit(pair.notebook)
        notebook = opened(visitor, pair)
        lines = "import time\nfor n in range(30):\n    print(n, flush=True); time.sleep(0.1)"
        cell = notebook.start_cell(lines)
        cell.wait_for_text("3\n")
        link.refuse()
        indicator = notebook.page.get_by_role("button", name="Connection to the kernel")
        expect(indicator).to_have_text(re.compile("connection lost at"))
        link.restore()
        expect(indicator).to_have_text("gateway · browser")
        cell.wait_until_run()
        assert cell.text.split() == [str(n) for n in range(30)]


def test_jupyterlab_of_the_same_server_too(pairs: Pairs, visit: Visit) -> None:
    pair = pairs("jupyter-server")
    visitor = visit(pair.notebook)
    lab = visitor.open_lab(wait=False)
    enter(lab, pair.gateway.token)
    lab.wait_for_kernel()
    assert lab.run_cell("print(6 * 7)").strip() == "42"
    assert ports(visitor.websockets, "/channels") == {pair.port}


def test_a_pass_that_is_no_more_good_is_asked_for_once(farm: Farm, visit: Visit) -> None:
    """A gateway started again has another key, and no kernels; every request meets that."""
    pair = Pair(farm, "kernel-gateway")
    visitor = visit(pair.notebook)
    notebook = opened(visitor, pair)
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    pair.gateway.stop()
    pair.gateway.start()
    enter(notebook, pair.gateway.token)
    expect(notebook.dialog).to_have_count(0)
    expect(notebook.kernel_name).to_have_text("No Kernel")
