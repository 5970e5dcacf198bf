"""Direct mode in Chromium and what is between page and gateway: TLS, what blocks, what breaks."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, expect

from .conftest import SharedServers, find_browser
from .intermediary import Intermediary
from .pages import Cell, NotebookPage, Visitor, chromium
from .processes import Farm, Server, free_port, wait_for
from .test_browser import SLIDER
from .test_browser_direct import (
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
from .test_outages import PRINTING

pytestmark = pytest.mark.browser

Files = tuple[str, str, str]  # of an authority, a certificate and its key
Between = Callable[..., Intermediary]
NAME = "gateway.example"  # this computer's, known to the browser only
LINES = 80
OUTAGE = 60  # of these lines, which take 3 seconds


def fingerprint(certificate: str) -> str:
    """What Chromium knows a certificate's key by."""
    key = x509.load_pem_x509_certificate(Path(certificate).read_bytes()).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


@pytest.fixture(scope="module")
def public_port() -> int:
    """A port of this computer that the browser takes for one of the public internet."""
    return free_port()


@pytest.fixture(scope="module")
def browser(tls: Files, public_port: int) -> Iterator[Browser]:
    """One that trusts our certificate, and no other of the same authority."""
    executable = find_browser()
    assert executable, "no Chromium; see CONTRIBUTING.md"
    options = (
        f"--ignore-certificate-errors-spki-list={fingerprint(tls[1])}",
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
        f"--ip-address-space-overrides=127.0.0.1:{public_port}=public",
    )
    with chromium(executable, *options) as browser:
        yield browser


@pytest.fixture
def gateway(shared: SharedServers) -> Server:
    return shared.gateway("jupyter-server", addon=True)


@pytest.fixture
def link() -> Iterator[Between]:
    """Puts an intermediary before a server, which is there longer than who visits it."""
    with contextlib.ExitStack() as links:
        yield lambda server, tls=None: links.enter_context(Intermediary(int(port(server)), tls=tls))


def at(url: str) -> str:
    """The option with which pages reach the gateway there."""
    return f"--Gateway.page_ws_url={url}"


def policy(sources: str) -> str:
    """The option of an admin's content security policy."""
    settings = {"headers": {"Content-Security-Policy": f"connect-src {sources}"}}
    return f"--ServerApp.tornado_settings={settings}"


def places(visitor: Visitor) -> set[str]:
    """Where the page's kernel WebSockets went to."""
    parts = [urlsplit(url) for url in visitor.websockets if "/channels" in url]
    return {f"{part.scheme}://{part.netloc}" for part in parts}


# -- TLS -----------------------------------------------------------------------------------------


def test_an_https_page_and_an_https_gateway_of_another_name(
    farm: Farm, tls: Files, visit: Visit
) -> None:
    gateway = farm.gateway("kernel-gateway", tls=tls, addon=True).start()
    url = f"wss://{NAME}:{port(gateway)}"
    env = {"JUPYTER_GATEWAY_CA_CERTS": tls[0]}
    server = farm.notebook("--mode=direct", at(url), gateway=gateway, env=env, tls=tls).start()
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    cell = notebook.start_cell(SLIDER)
    cell.output.locator(".noUi-handle").press("PageUp")
    cell.wait_for_text("the kernel has 12")
    assert places(visitor) == {url}
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
    assert places(visitor) == {url}


# -- what blocks ---------------------------------------------------------------------------------


def falls_back(visitor: Visitor, *reason: str) -> NotebookPage:
    """The relay carries a new notebook's cells, in time; the dialog, left open, says why."""
    opening = Opening(visitor)
    notebook = visitor.open_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert channels(visitor) == [port(visitor.server)]
    assert relayed(visitor) == visitor.kernel_ids()
    assert opening.seconds < FALLBACK_WITHIN
    expect(indicator(notebook)).to_have_text("gateway · proxy (fallback)")
    indicator(notebook).click()
    for words in reason:
        expect(notebook.dialog).to_contain_text(words)
    return notebook


def test_an_https_page_may_not_reach_a_gateway_without_tls(
    farm: Farm, gateway: Server, tls: Files, visit: Visit
) -> None:
    option = at(f"ws://{NAME}:{port(gateway)}")
    server = farm.notebook("--mode=direct", option, gateway=gateway, tls=tls).start()
    visitor = visit(server)
    notebook = falls_back(visitor, "reached over http only", "let the gateway use https")
    no_ticket_in(visitor, notebook)


def test_a_certificate_that_the_browser_does_not_trust(
    farm: Farm, gateway: Server, tls: Files, link: Between, visit: Visit
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    front = link(gateway, context)
    option = at(f"wss://localhost:{front.port}")
    visitor = visit(farm.notebook("--mode=direct", option, gateway=gateway, tls=tls).start())
    notebook = falls_back(visitor, "cannot connect", f"Open {front.url} in a new tab")
    assert "ERR_CERT_AUTHORITY_INVALID" in "".join(visitor.diary)
    no_ticket_in(visitor, notebook)


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
    expect(indicator(notebook)).to_have_text(re.compile("^gateway · lost since"))
    expect(spoken(notebook)).to_contain_text("lost since")
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
        expect(indicator(notebook)).to_have_text("gateway · proxy (fallback)")
    direct.restore()
    printing.wait_for_all()
    if how == "reset":
        indicator(notebook).click()
        notebook.answer_dialog("Try Direct Again")
    expect(indicator(notebook)).to_have_text("gateway · direct")
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert (port(server) in channels(visitor)) == (how == "reset")
