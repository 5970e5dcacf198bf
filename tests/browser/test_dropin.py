"""What a person does with Jupyter Notebook, done with our command; docs/drop-in.md lists it."""

from __future__ import annotations

import copy
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jupyter_server.auth import passwd
from playwright.sync_api import Page, expect

from ..support.browser_pages import NotebookPage, Visitor
from ..support.programs import find_nginx
from ..support.servers import PATIENCE, Farm, Server, free_port, wait_for
from ..support.shared_servers import SharedServers

pytestmark = pytest.mark.browser

Visit = Callable[[Server], Visitor]
PAGE = Path(__file__).parents[2] / "docs" / "drop-in.md"
SUM = "print(6 * 7)"
SCRIPT = "<b>shown</b><script>window.hasRun = true</script>"
PASSWORD = "open sesame"
# A labextension as `jupyter labextension build` leaves one, without what a bundler adds.
LABEXTENSION = """
window._JUPYTERLAB = window._JUPYTERLAB || {};
window._JUPYTERLAB.tiny = {
  init: () => {},
  get: () => Promise.resolve(() => ({
    __esModule: true,
    default: {
      id: "tiny:plugin",
      autoStart: true,
      activate: () => { document.body.dataset.tiny = "active"; },
    },
  })),
};
"""
SERVER_EXTENSION = """
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.web import authenticated

class Tiny(JupyterHandler):
    @authenticated
    def get(self):
        self.finish("<p>a tiny extension</p>")

def _jupyter_server_extension_points():
    return [{"module": "tiny_extension"}]

def _load_jupyter_server_extension(serverapp):
    pattern = url_path_join(serverapp.web_app.settings["base_url"], "tiny")
    serverapp.web_app.add_handlers(".*$", [(pattern, Tiny)])
"""


@pytest.fixture
def server(shared: SharedServers) -> Server:
    return shared.notebook("embedded")


def jupyter(server: Server, *arguments: str) -> None:
    """A command of Jupyter's, in a server's surroundings."""
    subprocess.run(
        [sys.executable, "-m", "jupyter", *arguments],
        env=server.env,
        cwd=server.folder,
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )


# -- files -----------------------------------------------------------------------------------------


def test_a_checkpoint_is_restored(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    notebook = visitor.open_tree().new_notebook().wait_for_kernel()
    notebook.run_cell("'the first text'")
    notebook.save()
    first = notebook.cell(0)
    first.editor.click()
    notebook.press("Control+A")
    notebook.page.keyboard.insert_text("'the second text'")
    expect(first.editor).to_have_text("'the second text'")
    notebook.choose("File", "Revert Notebook to Checkpoint…")
    notebook.answer_dialog("Revert")
    expect(notebook.cell(0).editor).to_have_text("'the first text'")
    saved = visitor.path("Untitled.ipynb").read_text()
    assert "the first text" in saved
    assert "the second text" not in saved


def test_a_notebook_of_somebody_else_runs_nothing_until_it_is_trusted(
    server: Server, visit: Visit
) -> None:
    visitor = visit(server)
    visitor.write_notebook("a.ipynb", "python3", SUM)
    path = visitor.path("a.ipynb")
    output = {"output_type": "display_data", "metadata": {}, "data": {"text/html": SCRIPT}}
    path.write_text(path.read_text().replace('"outputs": []', f'"outputs": [{json.dumps(output)}]'))
    notebook = visitor.reopen_notebook().wait_for_kernel()
    expect(notebook.cell(0).output).to_have_text("shown")
    assert notebook.page.evaluate("window.hasRun") is None
    notebook.page.get_by_role("button", name="Not Trusted").click()
    notebook.answer_dialog("Trust")
    expect(notebook.page.get_by_role("button", name="Trusted", exact=True)).to_be_visible()
    notebook.page.wait_for_function("window.hasRun === true")
    notebook.save()
    notebook.reload()
    notebook.page.wait_for_function("window.hasRun === true")


def test_a_file_is_uploaded(server: Server, visit: Visit, tmp_path: Path) -> None:
    blob = bytes(range(256)) * 5000  # in more than one piece
    (tmp_path / "blob.bin").write_bytes(blob)
    visitor = visit(server)
    tree = visitor.open_tree()
    with tree.page.expect_file_chooser() as chooser:
        tree.page.get_by_role("button", name="Upload").first.click()
    chooser.value.set_files(tmp_path / "blob.bin")
    expect(tree.file("blob.bin")).to_be_visible()
    wait_for("the whole file", lambda: visitor.path("blob.bin").read_bytes() == blob)


def test_a_terminal_runs_a_command(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    page = visitor.open_tree().new("Terminal")
    page.locator(".jp-Terminal .xterm-helper-textarea").wait_for(state="attached")
    target = visitor.path("from-a-terminal.txt")
    page.locator(".jp-Terminal").click()
    page.keyboard.insert_text(f"echo $((6 * 7)) > {target}\n")
    page.keyboard.press("Enter")
    wait_for("the command's output", lambda: target.exists() and target.read_text() == "42\n")


# -- extensions ------------------------------------------------------------------------------------


def test_a_labextension_is_switched_off_and_on(farm: Farm, visit: Visit) -> None:
    server = farm.notebook().start()
    folder = Path(server.env["JUPYTER_DATA_DIR"]) / "labextensions" / "tiny"
    (folder / "static").mkdir(parents=True)
    (folder / "static" / "entry.js").write_text(LABEXTENSION)
    build = {"load": "static/entry.js", "extension": "./extension"}
    about = {"name": "tiny", "version": "1.0.0", "jupyterlab": {"_build": build}}
    (folder / "package.json").write_text(json.dumps(about))
    notebook = visit(server).open_notebook().wait_for_kernel()
    body, trust = notebook.page.locator("body"), notebook.page.locator(".jp-NotebookTrustedStatus")
    expect(body).to_have_attribute("data-tiny", "active")
    expect(trust).to_be_visible()
    both = ("tiny", "@jupyter-notebook/notebook-extension:trusted")
    jupyter(server, "labextension", "disable", "--level=user", *both)
    notebook.reload()
    notebook.wait_for_kernel()
    expect(body).not_to_have_attribute("data-tiny", "active")
    expect(trust).to_have_count(0)
    jupyter(server, "labextension", "enable", "--level=user", *both)
    notebook.reload()
    expect(body).to_have_attribute("data-tiny", "active")
    expect(trust).to_be_visible()


def test_a_server_extension_is_switched_on_and_off(
    farm: Farm, visit: Visit, tmp_path: Path
) -> None:
    (tmp_path / "tiny_extension.py").write_text(SERVER_EXTENSION)
    server = farm.notebook(env={"PYTHONPATH": str(tmp_path)})
    # As a package installs it; the commands below look for it there.
    folder = Path(server.env["JUPYTER_CONFIG_DIR"]) / "jupyter_server_config.d"
    folder.mkdir(parents=True)
    installed = {"ServerApp": {"jpserver_extensions": {"tiny_extension": False}}}
    (folder / "tiny_extension.json").write_text(json.dumps(installed))
    jupyter(server, "server", "extension", "enable", "--user", "tiny_extension")
    server.start()
    page = visit(server).open_tree().page
    page.goto(f"{server.url}/tiny")
    expect(page.locator("p")).to_have_text("a tiny extension")
    jupyter(server, "server", "extension", "disable", "--user", "tiny_extension")
    server.stop()
    server.start()
    answer = page.goto(f"{server.url}/tiny?token={server.token}")
    assert answer is not None
    assert answer.status == 404


# -- who may come in -------------------------------------------------------------------------------


def test_a_password_lets_in(farm: Farm, visit: Visit) -> None:
    option = f"--PasswordIdentityProvider.hashed_password={passwd(PASSWORD, 'sha1')}"
    visitor = visit(farm.notebook(option).start())
    page = log_in(visitor, "wrong")
    expect(page.locator(".message")).to_contain_text("Invalid")
    page.get_by_label("Password or token").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    runs_a_cell(visitor, page)


def test_a_token_lets_in(server: Server, visit: Visit) -> None:
    visitor = visit(server)
    runs_a_cell(visitor, log_in(visitor, visitor.server.token))


def log_in(visitor: Visitor, secret: str) -> Page:
    """By the form to which somebody is sent who comes without anything."""
    visitor.write_notebook("a.ipynb", "python3")
    page = visitor.context.new_page()
    page.goto(visitor.url("notebooks", "/a.ipynb").partition("?")[0])
    assert "/login?next=" in page.url
    page.get_by_label("Password or token").fill(secret)
    page.get_by_role("button", name="Log in", exact=True).click()
    return page


def runs_a_cell(visitor: Visitor, page: Page) -> None:
    notebook = NotebookPage(page).wait_for_kernel()
    assert notebook.run_cell(SUM).strip() == "42"
    assert visitor.server.token not in page.url


# -- where it is served ----------------------------------------------------------------------------


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[[Server], Server]]:
    """Puts an nginx before a server, configured as the documentation says."""
    processes = []
    executable = find_nginx()
    assert executable, "no nginx; see CONTRIBUTING.md"

    def start(server: Server) -> Server:
        excerpt = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
        assert excerpt is not None
        assert "http://127.0.0.1:8888" in excerpt[1]
        port = free_port()
        location = excerpt[1].replace("http://127.0.0.1:8888", server.url.rpartition("/")[0])
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"    {kind}_temp_path {tmp_path / kind};\n" for kind in kinds)
        (tmp_path / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {tmp_path / 'nginx.pid'};\n"
            "events {}\n"
            f"http {{\n{temporary}    access_log off;\n"
            f"    server {{\n        listen 127.0.0.1:{port};\n{location}    }}\n}}\n"
        )
        log = tmp_path / "nginx.log"
        command = [executable, "-p", str(tmp_path), "-e", str(log), "-c", "nginx.conf"]
        processes.append(subprocess.Popen(command))
        front = copy.copy(server)
        front.url = f"http://localhost:{port}/{server.url.rpartition('/')[2]}"
        wait_for("nginx to answer", front._answers)
        return front

    yield start
    for process in processes:
        process.send_signal(signal.SIGQUIT)
        process.wait(PATIENCE)


@pytest.mark.nginx
def test_below_a_base_url_behind_nginx(
    farm: Farm, nginx: Callable[[Server], Server], visit: Visit
) -> None:
    server = farm.notebook(base_url="/jupyter/").start()
    visitor = visit(nginx(server))
    notebook = visitor.open_tree().new_notebook().wait_for_kernel()
    assert notebook.run_cell(SUM).strip() == "42"
    own = visitor.server.url.removeprefix("http")
    asked = [url for url in visitor.requests if url.startswith("http")]
    assert all(url.startswith(f"http{own}/") for url in asked)
    assert visitor.websockets
    assert all(url.startswith(f"ws{own}/") for url in visitor.websockets)
    notebook.save()


def test_custom_css(farm: Farm, visit: Visit) -> None:
    server = farm.notebook("--custom-css").start()
    folder = Path(server.env["JUPYTER_CONFIG_DIR"]) / "custom"
    folder.mkdir(parents=True)
    (folder / "custom.css").write_text("body { --tried: yes; }")
    tried = "getComputedStyle(document.body).getPropertyValue('--tried')"
    notebook = visit(server).open_notebook().wait_for_kernel()
    assert notebook.page.evaluate(tried) == "yes"
    plain = farm.notebook("--JupyterNotebookApp.custom_css=False", env=dict(server.env)).start()
    visitor = visit(plain)
    assert visitor.open_tree().page.evaluate(tried) == ""
    assert [url for url in visitor.requests if "custom.css" in url] == []
