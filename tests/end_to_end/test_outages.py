"""What a page goes through when a link, a gateway or a name breaks and comes back.

The page is a ``KernelConnection``: it does what JupyterLab's does, in a tenth of the time. Each
test ends with the page connected and a cell that runs, or with a page that knows its kernel is
dead: no outage may leave a socket that looks open and answers nothing.
"""

from __future__ import annotations

import contextlib
import copy
import secrets
import signal
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import trustme

from ..support.intermediary import Intermediary
from ..support.kernel_connection import KernelConnection
from ..support.recipes import PRINTING
from ..support.servers import Farm, Server, free_port, wait_for
from ..support.shared_servers import SharedServers

pytestmark = pytest.mark.outages

SCALE = 0.1  # of the page's pauses
LINK_TIMEOUT = 3.0  # seconds; in most tests instead of the default of 15
NOTICED = 10.0  # seconds, for LINK_TIMEOUT; with room for a busy machine
NOTICED_BY_DEFAULT = 20.0
LINES = 60

# Run in place of ``python -m notebook_remote``: a name that resolves while a file is there.
WITH_NAME = """
import pathlib, runpy, socket, sys
known, resolve = pathlib.Path(sys.argv.pop(1)), socket.getaddrinfo

def getaddrinfo(host, *args, **kwargs):
    if host in ("gateway.example", b"gateway.example"):
        if not known.exists():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        host = "127.0.0.1"
    return resolve(host, *args, **kwargs)

socket.getaddrinfo = getaddrinfo
runpy.run_module("notebook_remote", run_name="__main__")
"""
# Configuration of a Jupyter Server that reads its token from a file, as with a rotated secret.
ROTATED_TOKEN = """
import pathlib
from jupyter_server.auth.identity import IdentityProvider

class Rotated(IdentityProvider):
    async def get_user_token(self, handler):
        self.token = pathlib.Path({path!r}).read_text()
        return await super().get_user_token(handler)

c.ServerApp.identity_provider_class = Rotated
"""


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


class Site:
    """A gateway and a notebook server, with an intermediary on the link before each of them."""

    def __init__(
        self,
        farm: Farm,
        gateway: Server,
        *options: str,
        link_timeout: float | None = LINK_TIMEOUT,
        tls: ssl.SSLContext | None = None,
        **env: str,
    ) -> None:
        self.gateway = gateway
        self.gateway_link = Intermediary(port_of(gateway), tls=tls)
        settings = {
            "JUPYTER_GATEWAY_URL": self.gateway_link.url,
            "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token,
            "KERNEL_USERNAME": "ada",
            **env,
        }
        if link_timeout is not None:
            settings["NOTEBOOK_REMOTE_LINK_TIMEOUT"] = str(link_timeout)
        self.notebook = farm.notebook(*options, env=settings)
        self.page_link = Intermediary(port_of(self.notebook))

    def __enter__(self) -> Site:
        self.notebook.start()
        return self

    def __exit__(self, *args: object) -> None:
        self.notebook.stop()
        for link in (self.gateway_link, self.page_link):
            link.__exit__()

    @contextlib.contextmanager
    def page(self) -> Iterator[KernelConnection]:
        """A page with a kernel of its own. Whatever was broken is whole again after it."""
        there = copy.copy(self.notebook)
        there.url = self.page_link.url
        kernel_id = self.notebook.start_kernel()
        try:
            with KernelConnection(there, kernel_id, SCALE) as page:
                page.wait_status("connected")
                page.run("x = 5")
                yield page
        finally:
            for link in (self.gateway_link, self.page_link):
                link.restore()
                link.cut()  # also what it has forgotten
            self.gateway.request("DELETE", f"/api/kernels/{kernel_id}")

    def connections(self, page: KernelConnection) -> int:
        """How many sockets the gateway counts for a page's kernel."""
        return int(self.gateway.get(f"/api/kernels/{page.kernel_id}").json()["connections"])

    def wait_silent(self, page: KernelConnection, patience: float = NOTICED) -> None:
        """Wait until the server notices that nothing comes from the gateway."""

        def silent() -> bool:
            links = self.notebook.get("/notebook-remote/api/links").json()
            states = {link["kernel_id"]: link["state"] for link in links}
            return states.get(page.kernel_id) == "silent"

        wait_for("the silence to be noticed", silent, patience)


@pytest.fixture(scope="module")
def sites(shared: SharedServers) -> Iterator[Callable[[str], Site]]:
    """One site for each kind of gateway, made when it is first asked for."""
    with contextlib.ExitStack() as stack:
        made: dict[str, Site] = {}

        def site(kind: str) -> Site:
            if kind not in made:
                made[kind] = stack.enter_context(Site(shared.farm, shared.gateway(kind)))
            return made[kind]

        yield site


@pytest.fixture
def site(sites: Callable[[str], Site], kind: str) -> Site:
    return sites(kind)


@pytest.fixture(scope="module")
def patient_site(shared: SharedServers) -> Iterator[Site]:
    """With everything as it is by default."""
    gateway = shared.gateway("kernel-gateway")
    with Site(shared.farm, gateway, link_timeout=None) as site:
        yield site


class Printing:
    """A cell that prints numbers, and what the kernel has printed of them.

    It pauses after ten lines, so that a link can be cut with nothing on its way; what is, is lost.
    """

    def __init__(self, page: KernelConnection, folder: Path, lines: int = LINES) -> None:
        self.page = page
        self._go = folder / f"go-{secrets.token_hex(4)}"
        self.progress = folder / f"progress-{secrets.token_hex(4)}"
        code = PRINTING.format(lines=lines, go=str(self._go), progress=str(self.progress))
        self.msg_id = page.start(code)
        page.wait("ten lines", lambda: page.outputs(self.msg_id).endswith("9\n"))

    def go_on(self, count: int) -> None:
        """Wait until the kernel has printed so many more lines."""
        self._go.touch()
        enough = self.progress.stat().st_size + count
        wait_for(f"{enough} lines", lambda: self.progress.stat().st_size >= enough)

    def received(self) -> list[int]:
        """The numbers that the page has when the cell has ended."""
        self.page.messages_until(self.msg_id, "execute_reply", "status:idle")
        return [int(line) for line in self.page.outputs(self.msg_id).split()]


class Counted:
    """A cell that counts in a file how often it runs."""

    def __init__(self, page: KernelConnection, folder: Path) -> None:
        self.page = page
        self.path = folder / f"ran-{secrets.token_hex(4)}"
        self.path.touch()
        self.msg_id = page.start(f"with open({str(self.path)!r}, 'a') as ran: ran.write('x')")

    def times(self) -> int:
        self.page.messages_until(self.msg_id, "execute_reply", "status:idle")
        return self.path.stat().st_size


def assert_not_a_zombie(page: KernelConnection) -> None:
    page.wait_status("connected")
    assert page.run("print(x)") == "5\n"


def unanswered(link: Intermediary) -> None:
    link.blackhole()
    link.cut()


BREAKS: dict[str, Callable[[Intermediary], None]] = {
    "closed": lambda link: link.refuse(),
    "reset": lambda link: link.refuse(reset=True),
    "unanswered": unanswered,
}


@pytest.mark.parametrize("how", BREAKS)
@pytest.mark.parametrize("leg", ["gateway_link", "page_link"])
def test_a_broken_link_loses_nothing(site: Site, leg: str, how: str, tmp_path: Path) -> None:
    link = getattr(site, leg)
    with site.page() as page:
        printing = Printing(page, tmp_path)
        BREAKS[how](link)
        closing = page.wait_closing()
        assert closing.code not in (1000, 1001)
        wait_for("the gateway to keep output", lambda: site.connections(page) == 0)
        typed = Counted(page, tmp_path)  # the page knows that it is not connected, and keeps it
        printing.go_on(20)
        link.restore()
        assert printing.received() == list(range(LINES))
        assert typed.times() == 1
        assert_not_a_zombie(page)


@pytest.mark.parametrize("leg", ["gateway_link", "page_link"])
def test_a_link_that_is_cut_is_made_anew(site: Site, leg: str, tmp_path: Path) -> None:
    with site.page() as page:
        getattr(site, leg).cut()
        page.wait_closing()
        assert Counted(page, tmp_path).times() == 1
        assert_not_a_zombie(page)


@pytest.mark.parametrize("leg", ["gateway_link", "page_link"])
def test_a_short_silence_is_no_outage(patient_site: Site, leg: str, tmp_path: Path) -> None:
    """TCP makes up for it; a link that is closed too soon would lose what the hole holds."""
    link = getattr(patient_site, leg)
    with patient_site.page() as page:
        printing = Printing(page, tmp_path)
        link.blackhole()
        typed = Counted(page, tmp_path)
        printing.go_on(20)
        link.restore()
        assert printing.received() == list(range(LINES))
        assert typed.times() == 1
        assert page.closings == []
        assert_not_a_zombie(page)


@pytest.mark.parametrize("ways", [(), ("up",), ("down",)], ids=["both", "up", "down"])
def test_a_silent_gateway_is_noticed(site: Site, ways: tuple[str, ...], tmp_path: Path) -> None:
    with site.page() as page:
        site.gateway_link.blackhole(*ways)
        site.wait_silent(page)
        typed = Counted(page, tmp_path)  # the page does not know yet; this server keeps it
        site.gateway_link.restore(forget=True)
        closing = page.wait_closing(patience=NOTICED)
        assert closing.code not in (1000, 1001)
        assert typed.times() == 1
        assert_not_a_zombie(page)


def test_a_gateway_that_stands_still_loses_nothing(site: Site, tmp_path: Path) -> None:
    """A connection that is given up takes with it what is in it."""
    with site.page() as page:
        printing = Printing(page, tmp_path, lines=200)
        site.gateway.signal(signal.SIGSTOP)
        try:
            printing.go_on(20)
            site.wait_silent(page)
            typed = Counted(page, tmp_path)
            printing.go_on(70)  # longer than the timeout
        finally:
            site.gateway.signal(signal.SIGCONT)
        assert printing.received() == list(range(200))
        assert typed.times() == 1
        assert page.closings == []
        assert_not_a_zombie(page)


@pytest.mark.parametrize("kind", ["kernel-gateway"])
def test_a_silent_gateway_is_noticed_while_a_cell_prints(site: Site, tmp_path: Path) -> None:
    """Enterprise Gateway loses everything of such a cell, its end too, and so is not asked."""
    with site.page() as page:
        printing = Printing(page, tmp_path, lines=160)
        printing.go_on(10)
        site.gateway_link.blackhole()
        site.wait_silent(page)
        site.gateway_link.restore(forget=True)
        page.wait_closing(patience=NOTICED)
        page.wait_status("connected")
        came_back = printing.progress.stat().st_size
        received = printing.received()
        assert received == sorted(set(received))  # what the hole has swallowed is not made up
        assert set(range(came_back, 160)) <= set(received)
        assert_not_a_zombie(page)


@pytest.mark.parametrize("kind", ["jupyter-server"])
def test_a_gateway_that_hears_nothing_is_noticed_while_a_cell_prints(
    site: Site, tmp_path: Path
) -> None:
    """What still comes from it does not answer a ping."""
    with site.page() as page:
        cell = page.start("import time\nwhile True: print('.', flush=True); time.sleep(0.05)")
        page.wait("ten lines", lambda: page.outputs(cell).count(".") > 10)
        site.gateway_link.blackhole("up")
        site.wait_silent(page)
        site.gateway_link.restore(forget=True)
        page.wait_closing(patience=NOTICED)
        page.wait_status("connected")
        assert site.notebook.post(f"/api/kernels/{page.kernel_id}/interrupt").status_code == 204
        page.messages_until(cell, "execute_reply", "status:idle")  # else it aborts the next one
        assert_not_a_zombie(page)


@pytest.mark.parametrize("kind", ["jupyter-server"])
def test_a_silent_gateway_is_noticed_while_a_page_sends(site: Site) -> None:
    """The relay then stands in a write, with no place for a ping."""
    with site.page() as page:
        site.gateway_link.throttle(4_000_000, "up")
        passed = len(site.gateway_link.to_gateway)
        code = "'" + "x" * 9_000_000 + "'; None"
        for _ in range(4):  # more than all buffers on the way take
            threading.Thread(target=page.start, args=(code,), daemon=True).start()
        wait_for("some of it", lambda: len(site.gateway_link.to_gateway) > passed + 1_000_000)
        site.gateway_link.blackhole()
        site.wait_silent(page)
        site.gateway_link.restore(forget=True)
        page.wait_closing(patience=NOTICED)
        assert_not_a_zombie(page)


@pytest.mark.parametrize("kind", ["jupyter-server"])
def test_after_a_silence_requests_are_answered_at_once(site: Site) -> None:
    """None waits on a connection of before, that nobody answers any more."""
    with site.page() as page:
        kernel = f"/api/kernels/{page.kernel_id}"
        with ThreadPoolExecutor(6) as pool:  # so that there are some connections
            assert all(answer.ok for answer in pool.map(site.notebook.get, [kernel] * 6))
        site.gateway_link.blackhole()
        site.wait_silent(page)
        site.gateway_link.restore(forget=True)
        page.wait_closing(patience=NOTICED)
        page.wait_status("connected")
        began = time.monotonic()
        assert site.notebook.post(f"{kernel}/interrupt").status_code == 204
        assert time.monotonic() - began < NOTICED
        assert_not_a_zombie(page)


def test_a_silent_gateway_is_noticed_by_default(patient_site: Site) -> None:
    with patient_site.page() as page:
        patient_site.gateway_link.blackhole()
        patient_site.wait_silent(page, NOTICED_BY_DEFAULT)
        patient_site.gateway_link.restore(forget=True)
        page.wait_closing(patience=NOTICED_BY_DEFAULT)
        assert_not_a_zombie(page)


def test_a_silent_browser_is_noticed(site: Site, tmp_path: Path) -> None:
    """The gateway then keeps the output, and a page that comes back gets it."""
    with site.page() as page:
        wait_for("one connection", lambda: site.connections(page) == 1)
        site.page_link.blackhole()
        wait_for("none", lambda: site.connections(page) == 0, patience=NOTICED)
        site.page_link.restore()
        closing = page.wait_closing()
        assert closing.code not in (1000, 1001)
        typed = Counted(page, tmp_path)
        assert typed.times() == 1
        assert_not_a_zombie(page)


@pytest.mark.parametrize("kind", ["jupyter-server", "kernel-gateway"])
def test_a_restarted_gateway_has_no_zombie(farm: Farm, kind: str) -> None:
    gateway = farm.gateway(kind, port=free_port()).start()
    with Site(farm, gateway) as site:
        with site.page() as page:
            gateway.kill()
            page.wait_closing()
            gateway.start()
            page.wait_status("dead")
        with site.page() as page:
            assert_not_a_zombie(page)


def test_a_token_that_is_renewed(farm: Farm, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "our-token", tmp_path / "gateways-token"
    gateway = farm.gateway("jupyter-server")
    folder = Path(gateway.env["JUPYTER_CONFIG_DIR"])
    folder.mkdir(parents=True)
    (folder / "jupyter_server_config.py").write_text(ROTATED_TOKEN.format(path=str(theirs)))
    for path in (ours, theirs):
        path.write_text(gateway.token)
    gateway.start()
    option, env = f"--gateway-token-file={ours}", {"JUPYTER_GATEWAY_AUTH_TOKEN": ""}
    with Site(farm, gateway, option, **env) as site, site.page() as page:
        site.gateway_link.refuse()
        page.wait_closing()
        theirs.write_text("renewed")
        typed = Counted(page, tmp_path)
        site.gateway_link.restore()
        kernel = f"/api/kernels/{page.kernel_id}"
        wait_for("a refusal", lambda: site.notebook.get(kernel).status_code == 424)
        assert page.status == "connecting"
        ours.write_text("renewed")
        assert typed.times() == 1
        assert_not_a_zombie(page)


def test_a_certificate_that_is_not_trusted_for_a_while(
    farm: Farm, shared: SharedServers, tmp_path: Path
) -> None:
    trusted, other = trustme.CA(), trustme.CA()
    authorities = tmp_path / "ca.pem"
    trusted.cert_pem.write_to_path(str(authorities))
    proxy = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trusted.issue_cert("localhost").configure_cert(proxy)
    env = {"JUPYTER_GATEWAY_CA_CERTS": str(authorities), "JUPYTER_GATEWAY_RETRY_MAX": "0"}
    gateway = shared.gateway("jupyter-server")
    with Site(farm, gateway, tls=proxy, **env) as site, site.page() as page:
        site.gateway_link.refuse()
        page.wait_closing()
        other.issue_cert("localhost").configure_cert(proxy)
        typed = Counted(page, tmp_path)
        site.gateway_link.restore()
        kernel = f"/api/kernels/{page.kernel_id}"
        wait_for("distrust", lambda: "not trusted" in site.notebook.get(kernel).text)
        assert page.status == "connecting"
        site.gateway_link.refuse()
        trusted.issue_cert("localhost").configure_cert(proxy)
        site.gateway_link.restore()
        assert typed.times() == 1
        assert_not_a_zombie(page)


def test_a_name_that_does_not_resolve_for_a_while(
    farm: Farm, shared: SharedServers, tmp_path: Path
) -> None:
    known, program = tmp_path / "known", tmp_path / "with_name.py"
    known.touch()
    program.write_text(WITH_NAME)
    site = Site(farm, shared.gateway("kernel-gateway"))
    place = site.notebook.command.index("-m")
    site.notebook.command[place : place + 2] = [str(program), str(known)]
    url = site.gateway_link.url.replace("localhost", "gateway.example")
    site.notebook.env["JUPYTER_GATEWAY_URL"] = url
    with site, site.page() as page:
        known.unlink()
        site.gateway_link.cut()
        page.wait_closing()
        typed = Counted(page, tmp_path)
        kernel = f"/api/kernels/{page.kernel_id}"
        wait_for("the error", lambda: "cannot be resolved" in site.notebook.get(kernel).text)
        assert page.status == "connecting"
        known.touch()
        assert typed.times() == 1
        assert_not_a_zombie(page)


MEGABYTES = 500
MUCH = f"""
from IPython.display import display
for number in range({MEGABYTES}):
    display({{{{"text/plain": str(number % 10) * 1_000_000}}}}, raw=True)
open({{produced!r}}, "w").close()
"""


def watch_memory(pid: int, seconds: float) -> int:
    """The most bytes of memory that a process has within this time."""
    process, most = psutil.Process(pid), 0
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        most = max(most, process.memory_info().rss)
        threading.Event().wait(0.05)
    return most


def test_a_page_that_does_not_read_costs_no_memory_and_loses_nothing(
    farm: Farm, tmp_path: Path
) -> None:
    """It is busy, not gone: it answers no ping for several times link_timeout, and is not cut."""
    unlimited = "--ZMQChannelsWebsocketConnection.limit_rate=False"
    gateway = farm.gateway("jupyter-server", unlimited).start()
    env = {"NOTEBOOK_REMOTE_LINK_TIMEOUT": "2"}
    notebook = farm.notebook(gateway=gateway, env=env).start()
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        channels.run("1")
        before = psutil.Process(notebook.pid).memory_info().rss
        produced = tmp_path / "produced"
        msg_id = channels.start(MUCH.format(produced=str(produced)))
        wait_for("all to be produced", produced.exists)
        most = watch_memory(notebook.pid, 8)
        shown = [
            message["content"]["data"]["text/plain"]
            for message in channels.messages_until(msg_id, "execute_reply", "status:idle")
            if message["msg_type"] == "display_data"
        ]
        assert shown == [str(number % 10) * 1_000_000 for number in range(MEGABYTES)]
        most = max(most, psutil.Process(notebook.pid).memory_info().rss)
        assert most - before < 32 * 1024 * 1024
        assert channels.run("1") == "1"
