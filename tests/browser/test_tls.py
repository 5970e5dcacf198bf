"""TLS in Chromium, which trusts a private authority and so minds names and dates as for anybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Error as PlaywrightError

from ..support.browser_mode import (
    HOST,
    KINDS,
    Pair,
    enter,
    interrupt_and_restart,
    opened,
    origins,
    token_field,
)
from ..support.browser_pages import chromium
from ..support.browser_recipes import SLIDER
from ..support.certificates import Authority, Files, served
from ..support.direct_mode import (
    Between,
    Visit,
    at,
    falls_back,
    indicator,
    no_ticket_in,
    port,
    relayed,
)
from ..support.programs import find_browser
from ..support.servers import Farm, Server
from ..support.shared_servers import SharedServers

pytestmark = [pytest.mark.browser, pytest.mark.certutil]


@pytest.fixture(scope="module")
def browser(authority: Authority) -> Iterator[Browser]:
    executable = find_browser()
    assert executable, "no Chromium; see CONTRIBUTING.md"
    option = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    with chromium(executable, option, trusts=authority) as browser:
        yield browser


@pytest.fixture(scope="module")
def both_names(authority: Authority) -> Files:
    """A certificate for the gateway as the page knows it, and as the notebook server does."""
    return authority.certificate(HOST, "localhost")


@pytest.fixture
def gateway(shared: SharedServers) -> Server:
    """One without TLS."""
    return shared.gateway("jupyter-server", addon=True)


def test_an_https_page_and_the_embedded_gateway(farm: Farm, tls: Files, visit: Visit) -> None:
    visitor = visit(farm.notebook(tls=tls).start())
    notebook = visitor.open_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert origins(visitor.websockets, "/channels") == {f"wss://localhost:{port(visitor.server)}"}


# -- direct mode ---------------------------------------------------------------------------------


def test_an_https_page_and_an_https_gateway_of_another_name(
    farm: Farm, tls: Files, both_names: Files, visit: Visit
) -> None:
    gateway = farm.gateway("kernel-gateway", tls=both_names, addon=True).start()
    url = f"wss://{HOST}:{port(gateway)}"
    env = {"JUPYTER_GATEWAY_CA_CERTS": tls[0]}
    server = farm.notebook("--mode=direct", at(url), gateway=gateway, env=env, tls=tls).start()
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    cell = notebook.start_cell(SLIDER)
    cell.output.locator(".noUi-handle").press("PageUp")
    cell.wait_for_text("the kernel has 12")
    assert origins(visitor.websockets, "/channels") == {url}
    assert relayed(visitor) == []
    expect(indicator(notebook)).to_have_text("gateway · direct")
    no_ticket_in(visitor, notebook)


def test_an_https_page_reaches_a_gateway_without_tls_on_the_same_computer(
    farm: Farm, gateway: Server, tls: Files, visit: Visit
) -> None:
    url = f"ws://127.0.0.1:{port(gateway)}"
    visitor = visit(farm.notebook("--mode=direct", at(url), gateway=gateway, tls=tls).start())
    notebook = visitor.open_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert origins(visitor.websockets, "/channels") == {url}


def test_an_https_page_may_not_reach_a_gateway_without_tls(
    farm: Farm, gateway: Server, tls: Files, visit: Visit
) -> None:
    option = at(f"ws://{HOST}:{port(gateway)}")
    server = farm.notebook("--mode=direct", option, gateway=gateway, tls=tls).start()
    visitor = visit(server)
    notebook = falls_back(visitor, "reached over http only", "let the gateway use https")
    no_ticket_in(visitor, notebook)


def test_a_certificate_that_the_browser_does_not_trust(
    farm: Farm, gateway: Server, tls: Files, tmp_path: Path, link: Between, visit: Visit
) -> None:
    stranger = Authority(tmp_path)
    front = link(gateway, served(stranger.certificate("localhost")))
    option = at(f"wss://localhost:{front.port}")
    visitor = visit(farm.notebook("--mode=direct", option, gateway=gateway, tls=tls).start())
    notebook = falls_back(visitor, "does not trust its certificate", f"Open {front.url}")
    assert "ERR_CERT_AUTHORITY_INVALID" in "".join(visitor.diary)
    no_ticket_in(visitor, notebook)


def test_a_certificate_that_has_expired_until_it_is_renewed(
    farm: Farm, gateway: Server, authority: Authority, tls: Files, link: Between, visit: Visit
) -> None:
    """At a proxy in front of the gateway, say. The page is told where the browser says the rest."""
    certificate = served(authority.certificate("localhost", expired=True))
    front = link(gateway, certificate)
    option = at(f"wss://localhost:{front.port}")
    visitor = visit(farm.notebook("--mode=direct", option, gateway=gateway, tls=tls).start())
    notebook = falls_back(visitor, "which may have expired", f"Open {front.url} in a new tab")
    assert "ERR_CERT_DATE_INVALID" in "".join(visitor.diary)
    no_ticket_in(visitor, notebook)
    with pytest.raises(PlaywrightError, match="ERR_CERT_DATE_INVALID"):
        visitor.context.new_page().goto(front.url)
    certificate.load_cert_chain(*authority.certificate("localhost")[1:])
    notebook.answer_dialog("Try Direct Again")
    expect(indicator(notebook)).to_have_text("gateway · direct")
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert f"wss://localhost:{front.port}" in origins(visitor.websockets, "/channels")


# -- browser mode --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_does_everything_itself_by_https_and_wss(
    farm: Farm, both_names: Files, kind: str, visit: Visit
) -> None:
    pair = Pair(farm, kind, tls=both_names)
    visitor = visit(pair.notebook)
    notebook = opened(visitor, pair)
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    interrupt_and_restart(notebook)
    expect(indicator(notebook)).to_have_text("gateway · browser")
    assert origins(visitor.websockets, "/channels") == {f"wss://{HOST}:{pair.port}"}
    assert origins(visitor.requests, "/kernel") == {f"https://{HOST}:{pair.port}"}
    assert origins(visitor.requests, "/api/sessions") == {pair.notebook.url}


def test_browser_mode_reaches_a_gateway_without_tls_on_the_same_computer(
    farm: Farm, tls: Files, visit: Visit
) -> None:
    pair = Pair(farm, "jupyter-server", host="127.0.0.1", page_tls=tls)
    visitor = visit(pair.notebook)
    notebook = opened(visitor, pair)
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert origins(visitor.websockets, "/channels") == {f"ws://127.0.0.1:{pair.port}"}


def test_an_https_page_in_browser_mode_may_not_reach_a_gateway_without_tls(
    farm: Farm, tls: Files, visit: Visit
) -> None:
    """It says so without asking for a token, which would not help; files can be edited."""
    pair = Pair(farm, "jupyter-server", page_tls=tls)
    visitor = visit(pair.notebook)
    visitor.write_notebook("a.ipynb", "python3")
    notebook = visitor.reopen_notebook()
    sentence = (
        f"This page was loaded over https and must not use the gateway at http://{HOST}:{pair.port}"
    )
    expect(notebook.page.get_by_text(sentence)).to_be_visible()
    notebook.answer_dialog("No Kernel")
    notebook.type_cell("kept")
    notebook.save()
    expect(token_field(notebook)).to_have_count(0)
    notebook.page.get_by_role("button", name="What to do").click()
    expect(notebook.dialog).to_contain_text("let the gateway use https")


def test_in_browser_mode_an_expired_certificate_is_one_of_the_things_to_look_for(
    farm: Farm, gateway: Server, authority: Authority, tls: Files, link: Between, visit: Visit
) -> None:
    """With a good one the page hears of the next thing: this gateway does not allow its origin."""
    certificate = served(authority.certificate("localhost", expired=True))
    front = link(gateway, certificate)
    server = farm.notebook("--mode=browser", f"--gateway-url={front.url}", tls=tls).start()
    visitor = visit(server)
    visitor.write_notebook("a.ipynb", "python3")
    notebook = visitor.reopen_notebook(wait=False)
    enter(notebook, gateway.token)
    expect(notebook.dialog).to_contain_text(f"does not reach {front.url}")
    expect(notebook.dialog).to_contain_text(f"Open {front.url} in a new tab")
    certificate.load_cert_chain(*authority.certificate("localhost")[1:])
    enter(notebook, gateway.token)
    expect(notebook.dialog).to_contain_text("does not answer pages")
