"""A gateway in browser mode beside other backends, in Chromium."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from ..support.backend_pages import HERE, PYTHON, backend_of, indicator
from ..support.browser_mode import HOST, enter, interrupt_and_restart, ports, token_field
from ..support.browser_pages import NotebookPage, TreePage, Visitor, chromium
from ..support.intermediary import Intermediary
from ..support.programs import find_browser
from ..support.servers import PATIENCE, Farm, Server, free_port, wait_for

pytestmark = pytest.mark.browser

Visit = Callable[[Server], Visitor]
SIGN_IN = "Sign in… · desk"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_browser()
    assert executable, "no Chromium; see CONTRIBUTING.md"
    with chromium(executable, f"--host-resolver-rules=MAP {HOST} 127.0.0.1") as browser:
        yield browser


class Beside:
    """Kernels of this computer, of a proxied gateway, and of two that only pages contact.

    Of those, *desk* has a name that only Chromium can resolve, and nothing listens at *away*.
    """

    def __init__(self, farm: Farm) -> None:
        here = free_port()
        allowed = {"NOTEBOOK_REMOTE_ALLOWED_ORIGINS": f"http://localhost:{here}"}
        self.proxied = farm.gateway("kernel-gateway").start()
        self.desk = farm.gateway(
            "jupyter-server", "--ServerApp.allow_remote_access=True", addon=True, env=allowed
        ).start()
        self.desk_port = urlsplit(self.desk.url).port
        self.notebook = farm.notebook(
            "--mode=local",
            f"--gateway=jkg={self.proxied.url}",
            f"--gateway=desk=http://{HOST}:{self.desk_port}",
            f"--gateway=away=http://{HOST}:{free_port()}",
            env={
                "NOTEBOOK_REMOTE_JKG_AUTH_TOKEN": self.proxied.token,
                "NOTEBOOK_REMOTE_DESK_MODE": "browser",
                "NOTEBOOK_REMOTE_AWAY_MODE": "browser",
            },
            port=here,
        ).start()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    farm = Farm(tmp_path_factory.mktemp("beside"))
    yield Beside(farm)
    farm.close()


def change_kernel(notebook: NotebookPage, name: str) -> None:
    notebook.choose("Kernel", "Change Kernel…")
    notebook.dialog.locator("select").select_option(label=name)
    notebook.answer_dialog("Select")


def signed_in(visitor: Visitor, servers: Beside, tree: TreePage) -> NotebookPage:
    """A new notebook on *desk*, of which the page knows nothing yet."""
    notebook = NotebookPage(tree.new(SIGN_IN), wait=False)
    expect(token_field(notebook)).to_be_focused()
    expect(notebook.dialog).to_contain_text("Token for desk")
    enter(notebook, servers.desk.token)
    notebook.wait_for_kernel(f"{PYTHON} · desk")
    assert backend_of(visitor) == ["desk"]
    expect(tree.dialog).to_have_count(0)  # it was asked for where the user looks
    return notebook


def on_desk(servers: Beside) -> set[str]:
    return {kernel["id"] for kernel in servers.desk.get("/api/kernels").json()}


def test_kernels_of_all_backends_are_offered_and_run_where_they_say(
    servers: Beside, visit: Visit
) -> None:
    visitor = visit(servers.notebook)
    tree = visitor.open_tree()
    offered = tree.new_menu()
    for name in (f"{PYTHON} · {HERE}", f"{PYTHON} · jkg", SIGN_IN, "Sign in… · away"):
        assert name in offered
    expect(tree.dialog).to_have_count(0)  # no token is asked for before it is needed

    notebook = signed_in(visitor, servers, tree)
    expect(indicator(notebook)).to_have_text("desk · browser")
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    interrupt_and_restart(notebook, f"{PYTHON} · desk")
    (first,) = visitor.kernel_ids()
    assert first in on_desk(servers)
    notebook.save()
    (file,) = visitor.path("").glob("*.ipynb")
    kernelspec = json.loads(file.read_text())["metadata"]["kernelspec"]
    assert kernelspec == {"display_name": PYTHON, "language": "python", "name": "python3"}

    notebook.choose("Kernel", "Change Kernel…")
    names = notebook.dialog.locator("optgroup").first.locator("option").all_inner_texts()
    assert {f"{PYTHON} · {where}" for where in (HERE, "jkg", "desk")} <= set(names)
    notebook.answer_dialog("Cancel")
    for where, shown in (("jkg", "jkg"), ("local", ""), ("desk", "desk · browser")):
        name = f"{PYTHON} · {HERE if where == 'local' else where}"
        change_kernel(notebook, name)
        notebook.wait_for_kernel(name)
        assert backend_of(visitor) == [where]
        assert notebook.run_cell("print(6 * 7)").strip() == "42"
        if shown:
            expect(indicator(notebook)).to_have_text(shown)
        else:
            expect(indicator(notebook)).to_be_hidden()
        wait_for("the end of the first", lambda: first not in on_desk(servers))
    (last,) = visitor.kernel_ids()
    assert on_desk(servers) == {last}
    assert not servers.proxied.get(f"/api/kernels/{first}").ok

    # The notebook server had no part in what concerns desk.
    server_port = urlsplit(servers.notebook.url).port
    of_desk = [url for url in visitor.requests if first in url or last in url]
    assert ports(of_desk, "/kernels") == {servers.desk_port}
    sockets = [url for url in visitor.websockets if first in url or last in url]
    assert ports(sockets, "/channels") == {servers.desk_port}
    assert server_port in ports(visitor.websockets, "/channels")
    assert first not in servers.notebook.log
    assert servers.desk.token not in servers.notebook.log
    assert servers.desk.token not in str([*visitor.requests, *visitor.websockets])
    notebook.choose("Kernel", "Shut Down Kernel")
    expect(notebook.kernel_name).to_have_text("No Kernel")
    assert on_desk(servers) == set()


def test_a_reload_keeps_the_kernel_and_a_notebook_opens_where_it_ran(
    servers: Beside, visit: Visit
) -> None:
    visitor = visit(servers.notebook)
    notebook = signed_in(visitor, servers, visitor.open_tree())
    notebook.run_cell("x = 'kept'")
    notebook.save()
    (file,) = visitor.path("").glob("*.ipynb")
    notebook.reload()
    notebook.wait_for_kernel(f"{PYTHON} · desk")
    assert notebook.run_cell("print(x)").strip() == "kept"
    notebook.save()

    other = visitor.reopen_notebook(file.name, wait=False)  # a tab that has no pass
    expect(token_field(other)).to_be_focused()
    other.answer_dialog("Not Now")
    expect(indicator(other)).to_contain_text("desk")
    indicator(other).click()
    other.answer_dialog("Connect Again")
    enter(other, servers.desk.token)
    other.wait_for_kernel(f"{PYTHON} · desk")
    assert other.run_cell("print(x)").strip() == "kept"
    other.save()
    other.choose("Kernel", "Shut Down Kernel")
    expect(other.kernel_name).to_have_text("No Kernel")
    other.close()
    notebook.close()

    again = visitor.reopen_notebook(file.name, wait=False)
    enter(again, servers.desk.token)
    again.wait_for_kernel(f"{PYTHON} · desk")
    assert backend_of(visitor) == ["desk"]
    assert "NameError" in again.run_cell("x")


def test_where_kernels_are_listed_its_own_are_too(servers: Beside, visit: Visit) -> None:
    visitor = visit(servers.notebook)
    tree = visitor.open_tree()
    tree.choose("Settings", "Gateways…")
    expect(tree.dialog.locator("tr", has_text="desk")).to_contain_text("from pages only")
    tree.dialog.get_by_role("button", name="Enter the token of desk").click()
    enter(tree, servers.desk.token)
    tree.answer_dialog("Close")
    wait_for("its kernels to be offered", lambda: f"{PYTHON} · desk" in tree.new_menu())
    tree.new_notebook(f"{PYTHON} · desk").wait_for_kernel(f"{PYTHON} · desk")
    tree.page.bring_to_front()
    tree.page.get_by_role("tab", name="Running").click()
    tree.page.get_by_text("desk · browser").wait_for()
    items = tree.page.locator(".jp-RunningSessions-item", has_text="Untitled.ipynb")
    expect(items.filter(has_text=f"{PYTHON} · desk").first).to_be_visible()


def test_one_that_does_not_answer_holds_up_no_other(farm: Farm, visit: Visit) -> None:
    """Cut off without a word, and there again."""
    here, port = free_port(), free_port()
    allowed = {"NOTEBOOK_REMOTE_ALLOWED_ORIGINS": f"http://localhost:{here}"}
    with Intermediary(port) as link:
        desk = farm.gateway("kernel-gateway", addon=True, env=allowed, port=port).start()
        notebook_server = farm.notebook(
            "--mode=local",
            f"--gateway=desk=http://{HOST}:{link.port}",
            env={"NOTEBOOK_REMOTE_DESK_MODE": "browser"},
            port=here,
        ).start()
        visitor = visit(notebook_server)
        tree = visitor.open_tree()
        tree.choose("Settings", "Gateways…")
        tree.dialog.get_by_role("button", name="Enter the token of desk").click()
        enter(tree, desk.token)
        tree.answer_dialog("Close")
        wait_for("its kernels to be offered", lambda: f"{PYTHON} · desk" in tree.new_menu())
        on_desk = tree.new_notebook(f"{PYTHON} · desk").wait_for_kernel(f"{PYTHON} · desk")
        on_desk.run_cell("x = 'kept'")
        on_desk.save()
        link.blackhole()
        tree.page.bring_to_front()
        start = time.monotonic()
        tree.reload()
        both = {f"{PYTHON} · {HERE}", f"{PYTHON} · desk"}
        wait_for("both to be offered", lambda: both <= set(tree.new_menu()))
        tree.file("Untitled.ipynb").wait_for()
        local = tree.new_notebook(f"{PYTHON} · {HERE}").wait_for_kernel(f"{PYTHON} · {HERE}")
        assert local.run_cell("print(6 * 7)").strip() == "42"
        assert time.monotonic() - start < PATIENCE / 2
        expect(local.dialog).to_have_count(0)
        assert sorted(backend_of(visitor)) == ["desk", "local"]
        on_desk.page.bring_to_front()
        link.restore()
        on_desk.wait_for_kernel(f"{PYTHON} · desk")
        assert on_desk.run_cell("print(x)").strip() == "kept"


def test_several_at_once_without_any_other(farm: Farm, visit: Visit) -> None:
    here = free_port()
    allowed = {"NOTEBOOK_REMOTE_ALLOWED_ORIGINS": f"http://localhost:{here}"}
    gateways = {
        name: farm.gateway("kernel-gateway", addon=True, env=allowed).start()
        for name in ("desk", "attic")
    }
    named = [
        f"--gateway={name}=http://{HOST}:{urlsplit(gateway.url).port}"
        for name, gateway in gateways.items()
    ]
    modes = {f"NOTEBOOK_REMOTE_{name.upper()}_MODE": "browser" for name in gateways}
    options = [*named, "--Gateways.own_kernels=False"]
    visitor = visit(farm.notebook(*options, env=modes, port=here).start())
    visitor.write_notebook("a.ipynb", "python3")
    notebook = visitor.reopen_notebook()
    notebook.dialog.locator("select").select_option(label="Sign in… · desk")
    notebook.answer_dialog("Select")
    for name, gateway in gateways.items():
        if name != "desk":
            change_kernel(notebook, f"Sign in… · {name}")
        enter(notebook, gateway.token)
        notebook.wait_for_kernel(f"{PYTHON} · {name}")
        assert backend_of(visitor) == [name]
        assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert "/api/kernel" not in visitor.server.log
    assert not [url for url in visitor.requests if f":{here}/api/kernel" in url]


def test_what_the_browser_keeps_has_no_secret(servers: Beside, visit: Visit) -> None:
    visitor = visit(servers.notebook)
    notebook = signed_in(visitor, servers, visitor.open_tree())
    key = f"notebook-remote:kernelspecs http://{HOST}:{servers.desk_port}"

    def kept() -> str:
        return str(notebook.page.evaluate("key => localStorage.getItem(key)", key))

    wait_for("its kernelspecs", lambda: PYTHON in kept())
    specs = json.loads(kept())
    assert {tuple(sorted(spec)) for spec in specs.values()} == {
        ("argv", "display_name", "language", "metadata", "name", "resources")
    }
    assert all(spec["argv"] == [] and spec["resources"] == {} for spec in specs.values())
    stored = notebook.page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    assert servers.desk.token not in stored
