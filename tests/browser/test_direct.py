"""Direct mode in Chromium: page and gateway, the fallback, and what the page shows of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

from ..support.browser_recipes import BUSY, IMAGE, SLIDER, UPLOADED, gateway_of, upload
from ..support.direct_mode import (
    FALLBACK_WITHIN,
    Opening,
    Visit,
    channels,
    indicator,
    no_ticket_in,
    port,
    relayed,
    spoken,
)
from ..support.servers import Farm, Server, wait_for
from ..support.shared_servers import ON_GATEWAYS, SharedServers

pytestmark = pytest.mark.browser

KINDS = ["embedded", "jupyter-server", "kernel-gateway"]


class DirectServers:
    """One notebook server in direct mode for each kind of gateway, with the add-on in it."""

    def __init__(self, shared: SharedServers) -> None:
        self.shared = shared
        self.notebooks: dict[str, Server] = {}

    def __call__(self, kind: str) -> Server:
        if kind not in self.notebooks:
            gateway = None if kind == "embedded" else self.shared.gateway(kind, addon=True)
            env = {"KERNEL_USERNAME": "ada"}  # for Enterprise Gateway
            notebook = self.shared.farm.notebook("--mode=direct", gateway=gateway, env=env)
            self.notebooks[kind] = notebook.start()
        return self.notebooks[kind]


@pytest.fixture(scope="module")
def direct(shared: SharedServers) -> Iterator[DirectServers]:
    return DirectServers(shared)


def gateways_port(server: Server) -> str:
    return str(urlsplit(gateway_of(server)[0]).port)


@pytest.mark.parametrize("kind", KINDS)
def test_kernel_messages_go_to_the_gateway_and_nowhere_else(
    direct: DirectServers, kind: str, visit: Visit
) -> None:
    server = direct(kind)
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    cell = notebook.start_cell(SLIDER)
    cell.output.locator(".noUi-handle").press("PageUp")
    cell.wait_for_text("the kernel has 12")
    cell = notebook.start_cell(IMAGE)
    expect(cell.output.locator("img")).to_have_js_property("naturalWidth", 256)
    digest = hashlib.sha256(upload(notebook, 8_000_000)).hexdigest()
    wait_for("the file", lambda: digest in notebook.run_cell(UPLOADED))
    assert set(channels(visitor)) == {gateways_port(server)}
    assert relayed(visitor) == []
    others = [url for url in visitor.websockets if "/channels" not in url]
    assert {str(urlsplit(url).port) for url in others} == {port(server)}  # events stay
    name = "This computer" if kind == "embedded" else "gateway"
    expect(indicator(notebook)).to_have_text(f"{name} · direct")
    label = f"Connection to the kernel: {name}, direct, connected"
    expect(indicator(notebook)).to_have_accessible_name(label)
    no_ticket_in(visitor, notebook)


@pytest.mark.parametrize("kind", ON_GATEWAYS)
def test_interrupt_restart_and_reload_stay_direct(
    direct: DirectServers, kind: str, visit: Visit
) -> None:
    server = direct(kind)
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    cell = notebook.start_cell(BUSY)
    cell.wait_for_text("busy")
    notebook.press_button("notebook:interrupt-kernel")
    cell.wait_for_text("KeyboardInterrupt")
    notebook.run_cell("x = 1")
    notebook.choose("Kernel", "Restart Kernel…")
    notebook.answer_dialog("Restart")
    notebook.wait_for_kernel()
    assert "NameError" in notebook.run_cell("x")
    notebook.run_cell("x = 2")
    notebook.save()
    notebook.reload()
    notebook.wait_for_kernel()
    assert notebook.run_cell("print(x)").strip() == "2"
    assert len(channels(visitor)) >= 3
    assert set(channels(visitor)) == {gateways_port(server)}


def blocked(route: Route) -> None:
    route.abort("connectionrefused")


def silent(route: Route) -> None:
    """A firewall that drops what it does not like: there is never an answer."""


@pytest.mark.parametrize("block", [blocked, silent])
def test_when_the_browser_does_not_reach_the_gateway_the_relay_takes_over_and_says_so(
    direct: DirectServers, visit: Visit, block: Callable[[Route], None]
) -> None:
    server = direct("jupyter-server")
    visitor = visit(server)
    gateway = f"**://localhost:{gateways_port(server)}/**"
    visitor.context.route(gateway, block)
    opening = Opening(visitor)
    notebook = visitor.open_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert channels(visitor) == [port(server)]
    assert relayed(visitor) == visitor.kernel_ids()
    assert opening.seconds < FALLBACK_WITHIN
    expect(indicator(notebook)).to_have_text("gateway · not direct")
    expect(spoken(notebook)).to_have_text("gateway, not direct, connected")
    no_ticket_in(visitor, notebook)

    indicator(notebook).press("Enter")
    expect(notebook.dialog).to_contain_text("through the notebook server")
    reason = "did not answer" if block is silent else "cannot connect"
    expect(notebook.dialog).to_contain_text(reason)
    visitor.context.unroute(gateway)
    notebook.answer_dialog("Try Direct Again")
    expect(indicator(notebook)).to_have_text("gateway · direct")
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert channels(visitor) == [port(server), gateways_port(server)]


def test_a_gateway_that_was_not_reached_is_left_alone_for_a_while(
    direct: DirectServers, visit: Visit
) -> None:
    """The page's clock is what decides when it is tried again."""
    server = direct("jupyter-server")
    visitor = visit(server)
    tries: list[str] = []

    def refuse(route: Route) -> None:
        tries.append(route.request.url)
        route.abort()

    gateway = f"**://localhost:{gateways_port(server)}/**"
    visitor.context.route(gateway, refuse)
    notebook = visitor.open_notebook().wait_for_kernel()
    assert len(tries) == 1
    visitor.context.unroute(gateway)
    notebook.choose("Kernel", "Reconnect to Kernel")
    notebook.wait_for_kernel()
    expect(indicator(notebook)).to_have_text("gateway · not direct")
    notebook.page.evaluate("const now = performance.now(); performance.now = () => now + 61000")
    notebook.choose("Kernel", "Reconnect to Kernel")
    expect(indicator(notebook)).to_have_text("gateway · direct")


def test_a_gateway_without_the_add_on_is_relayed_and_the_page_says_what_to_install(
    farm: Farm, shared: SharedServers, visit: Visit
) -> None:
    server = farm.notebook("--mode=direct", gateway=shared.gateway("jupyter-server")).start()
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    assert channels(visitor) == [port(server)]
    expect(indicator(notebook)).to_have_text("gateway · not direct")
    indicator(notebook).click()
    expect(notebook.dialog).to_contain_text("notebook-remote-gateway")


def test_a_lost_gateway_is_shown_and_a_dead_kernel_is_no_connection(
    farm: Farm, visit: Visit
) -> None:
    gateway = farm.gateway("jupyter-server", addon=True).start()
    server = farm.notebook("--mode=direct", gateway=gateway).start()
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    gateway.kill()
    expect(indicator(notebook)).to_have_text(
        re.compile(r"^gateway · connection lost at \d+:\d\d:\d\d")
    )
    expect(spoken(notebook)).to_contain_text("connection lost at")
    indicator(notebook).click()
    expect(notebook.dialog).to_contain_text("The page connects again by itself")
    notebook.answer_dialog("Connect Again")
    gateway.start()  # without the kernel
    expect(notebook.kernel_name).to_have_text("No Kernel")
    expect(indicator(notebook)).to_be_hidden()


def test_the_indicator_is_reached_and_used_with_the_keyboard(
    direct: DirectServers, visit: Visit
) -> None:
    notebook = visit(direct("jupyter-server")).open_notebook().wait_for_kernel()
    expect(indicator(notebook)).to_have_text("gateway · direct")
    notebook.page.evaluate("document.activeElement.blur()")  # from the page's top
    for _ in range(10):
        if notebook.page.evaluate("document.activeElement.closest('.nbr-Indicator') !== null"):
            break
        notebook.press("Tab")
    expect(indicator(notebook)).to_be_focused()
    notebook.press("Enter")
    expect(notebook.dialog).to_contain_text("directly, from this page")
    expect(notebook.dialog).to_contain_text(re.compile(r"page to gateway [\d.]+ ms"))
    notebook.press("Escape")
    expect(indicator(notebook)).to_be_focused()


def test_in_proxy_mode_nothing_is_asked_and_round_trips_are_shown(
    shared: SharedServers, visit: Visit
) -> None:
    server = shared.notebook("kernel-gateway")
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    expect(indicator(notebook)).to_have_text("gateway")
    assert channels(visitor) == [port(server)]
    assert [url for url in visitor.requests if "/channels" in url and "http" in url[:4]] == []
    expect(indicator(notebook)).to_have_attribute("title", re.compile(r"round trip [\d.]+ ms"))


def test_local_kernels_have_no_indicator(shared: SharedServers, visit: Visit) -> None:
    visitor = visit(shared.notebook("local"))
    notebook = visitor.open_notebook().wait_for_kernel()
    expect(indicator(notebook)).to_be_hidden()
    assert [url for url in visitor.requests if "/notebook-remote/api/" in url] == []


def test_jupyterlab_of_the_same_server_is_direct_too(direct: DirectServers, visit: Visit) -> None:
    server = direct("jupyter-server")
    visitor = visit(server)
    lab = visitor.open_lab().wait_for_kernel()
    assert lab.run_cell("print(6 * 7)").strip() == "42"
    assert channels(visitor) == [gateways_port(server)]
    expect(indicator(lab)).to_have_text("gateway · direct")


def test_without_our_labextension_the_page_works_through_the_relay(
    direct: DirectServers, visit: Visit
) -> None:
    """It takes the place of a stock plugin, which then is switched off nevertheless."""
    server = direct("jupyter-server")
    visitor = visit(server)
    ours = re.compile("labextensions/notebook-remote/static/remoteEntry")
    visitor.context.route(ours, lambda route: route.abort())
    notebook = visitor.open_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert channels(visitor) == [port(server)]
    assert visitor.kernel_ids() != []


def test_the_kernel_dialog_and_the_running_page_name_the_gateway(
    direct: DirectServers, visit: Visit
) -> None:
    """In the page only: a kernelspec's name is saved in notebooks."""
    server = direct("embedded")
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    notebook.choose("Kernel", "Change Kernel…")
    options = notebook.dialog.locator("option").all_inner_texts()
    assert "Python 3 (ipykernel) · This computer" in options
    assert "No Kernel" in options
    notebook.answer_dialog("Cancel")
    notebook.save()
    assert "embedded" not in visitor.path("a.ipynb").read_text()
    tree = visitor.open_tree()
    tree.page.get_by_role("tab", name="Running").click()
    gateways = tree.page.get_by_role("region", name="Gateways")
    expect(gateways).to_contain_text("This computer · direct")
    expect(gateways).to_contain_text("a.ipynb")
