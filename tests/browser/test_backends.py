"""Several backends and sessions that last, in Chromium."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from ..support.backend_pages import HERE, PYTHON, backend_of, indicator
from ..support.browser_pages import NotebookPage, Visitor
from ..support.intermediary import Intermediary
from ..support.recipes import several
from ..support.servers import Farm, Server, wait_for

pytestmark = pytest.mark.browser

Visit = Callable[[Server], Visitor]


GESTURE = 5.0  # seconds after a click in which a page may open a tab


class Several:
    """A notebook server with kernels of its own beside two gateways."""

    def __init__(self, farm: Farm) -> None:
        self.gateways = {
            "js": farm.gateway("jupyter-server").start(),
            "jkg": farm.gateway("kernel-gateway").start(),
        }
        self.notebook = several(farm, "--mode=local", **self.gateways).start()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    farm = Farm(tmp_path_factory.mktemp("several"))
    yield Several(farm)
    farm.close()


def test_kernels_of_all_backends_are_offered_and_run_where_they_say(
    servers: Several, visit: Visit
) -> None:
    visitor = visit(servers.notebook)
    tree = visitor.open_tree()
    offered = tree.new_menu()
    for where in (HERE, "js", "jkg"):
        assert f"{PYTHON} · {where}" in offered
    notebook = tree.new_notebook(f"{PYTHON} · jkg").wait_for_kernel(f"{PYTHON} · jkg")
    assert backend_of(visitor) == ["jkg"]
    expect(indicator(notebook)).to_have_text("jkg")
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    notebook.save()
    (file,) = visitor.path("").glob("*.ipynb")
    kernelspec = json.loads(file.read_text())["metadata"]["kernelspec"]
    assert kernelspec == {"display_name": PYTHON, "language": "python", "name": "python3"}

    notebook.choose("Kernel", "Change Kernel…")
    names = notebook.dialog.locator("optgroup").first.locator("option").all_inner_texts()
    assert set(names) == {f"{PYTHON} · {where}" for where in (HERE, "js", "jkg")}
    notebook.dialog.locator("select").select_option(label=f"{PYTHON} · {HERE}")
    notebook.answer_dialog("Select")
    notebook.wait_for_kernel(f"{PYTHON} · {HERE}")
    assert backend_of(visitor) == ["local"]
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    expect(indicator(notebook)).to_be_hidden()


def test_a_notebook_opens_where_it_ran_and_an_unknown_one_asks(
    servers: Several, visit: Visit
) -> None:
    visitor = visit(servers.notebook)
    visitor.write_notebook("a.ipynb", "python3")
    notebook = visitor.reopen_notebook()
    expect(notebook.dialog).to_contain_text("Select Kernel")
    notebook.dialog.locator("select").select_option(label=f"{PYTHON} · js")
    notebook.answer_dialog("Select")
    notebook.wait_for_kernel(f"{PYTHON} · js")
    notebook.save()
    notebook.choose("Kernel", "Shut Down Kernel")
    expect(notebook.kernel_name).to_have_text("No Kernel")
    notebook.close()
    again = visitor.reopen_notebook().wait_for_kernel(f"{PYTHON} · js")
    expect(again.dialog).to_have_count(0)
    assert backend_of(visitor) == ["js"]


def test_jupyterlab_of_the_same_server_too(servers: Several, visit: Visit) -> None:
    visitor = visit(servers.notebook)
    lab = visitor.open_lab()
    lab.dialog.locator("select").select_option(label=f"{PYTHON} · jkg")
    lab.answer_dialog("Select")
    lab.wait_for_kernel(f"{PYTHON} · jkg")
    assert lab.run_cell("print(6 * 7)").strip() == "42"
    expect(indicator(lab)).to_have_text("jkg")


def test_a_gateway_is_added_and_removed_in_the_page(farm: Farm, visit: Visit) -> None:
    gateway = farm.gateway("jupyter-server").start()
    visitor = visit(farm.notebook("--mode=local").start())
    tree = visitor.open_tree()
    tree.choose("Settings", "Gateways…")
    tree.answer_dialog("Add Gateway…")
    for name, value in (("name", "gpu"), ("url", "nonsense"), ("auth_token", gateway.token)):
        tree.dialog.locator(f"[name={name}]").fill(value)
    tree.answer_dialog("Add")
    expect(tree.dialog.get_by_role("alert")).to_contain_text("is not an address")
    expect(tree.dialog.locator("[name=auth_token]")).to_have_value(gateway.token)
    tree.dialog.locator("[name=url]").fill(gateway.url)
    tree.answer_dialog("Test")
    expect(tree.dialog.get_by_role("alert")).to_contain_text("This gateway works")
    expect(tree.dialog.get_by_role("alert")).not_to_contain_text("✗")
    tree.answer_dialog("Add")
    row = tree.dialog.locator("tr", has_text="gpu")
    expect(row).to_contain_text("ready")
    row.get_by_role("button", name="Test gpu").click()
    expect(tree.dialog).to_contain_text("Testing")
    tree.answer_dialog("Cancel")
    row.get_by_role("button", name="Edit gpu").click()
    expect(tree.dialog.locator("[name=url]")).to_have_value(gateway.url)
    tree.answer_dialog("Cancel")
    tree.answer_dialog("Close")
    notebook = tree.new_notebook(f"{PYTHON} · gpu").wait_for_kernel(f"{PYTHON} · gpu")
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    expect(indicator(notebook)).to_have_text("gpu")
    notebook.choose("Kernel", "Shut Down Kernel")
    expect(notebook.kernel_name).to_have_text("No Kernel")
    notebook.close()
    tree.choose("Settings", "Gateways…")
    tree.dialog.get_by_role("button", name="Remove gpu").click()
    expect(row).to_have_count(0)
    tree.answer_dialog("Close")
    wait_for("the New menu without it", lambda: not [t for t in tree.new_menu() if "gpu" in t])
    assert gateway.token not in visitor.server.log
    assert not [text for text in visitor.texts_received().values() if gateway.token in text]


def test_the_server_is_started_again_while_the_notebook_is_open(farm: Farm, visit: Visit) -> None:
    gateway = farm.gateway("kernel-gateway").start()
    server = several(farm, "--mode=local", gpu=gateway).start()
    visitor = visit(server)
    notebook = visitor.open_tree().new_notebook(f"{PYTHON} · gpu")
    notebook.wait_for_kernel(f"{PYTHON} · gpu").run_cell("x = 'kept'")
    server.kill()
    expect(indicator(notebook)).to_have_text(re.compile("connection lost at"))
    server.start()
    expect(indicator(notebook)).to_have_text("gpu")
    assert notebook.run_cell("print(x)").strip() == "kept"
    notebook.save()
    notebook.reload()
    notebook.wait_for_kernel(f"{PYTHON} · gpu")
    assert notebook.run_cell("print(x)").strip() == "kept"


def test_a_kernel_that_is_kept_has_its_notebook_again(farm: Farm, visit: Visit) -> None:
    server = farm.notebook(name="one").start()
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    notebook.run_cell("x = 'kept'")
    indicator(notebook).click()
    box = notebook.dialog.get_by_label("Keep running when the notebook server stops")
    box.check()
    wait_for(
        "the server to know",
        lambda: (
            [
                kernel["on_exit"]
                for kernel in server.get("/notebook-remote/api/kernels").json()["kernels"]
            ]
            == ["keep"]
        ),
    )
    expect(box).to_be_checked()
    notebook.answer_dialog("Close")
    notebook.save()
    notebook.close()
    server.stop()
    server.start()
    again = visitor.reopen_notebook().wait_for_kernel()
    assert again.run_cell("print(x)").strip() == "kept"


def test_a_kernel_without_a_notebook_is_shown_and_adopted(farm: Farm, visit: Visit) -> None:
    server = farm.notebook(name="one").start()
    kernel_id = server.start_kernel(name="python3")
    with server.channels(kernel_id) as channels:
        channels.run("x = 'adopted'")
    visitor = visit(server)
    tree = visitor.open_tree()
    tree.page.get_by_role("tab", name="Running").click()
    alone = tree.page.get_by_text("Without a notebook")
    expect(alone).to_be_visible()
    with tree.page.context.expect_page() as opened:
        alone.click()
    notebook = NotebookPage(opened.value).wait_for_kernel()
    assert notebook.run_cell("print(x)").strip() == "adopted"
    (session,) = server.get("/api/sessions").json()
    assert session["kernel"]["id"] == kernel_id
    expect(alone).to_have_count(0)


def test_why_a_kernel_is_gone_is_said_and_another_offered(servers: Several, visit: Visit) -> None:
    """A cell that was run meanwhile says what became of it; the offer goes with its reason."""
    visitor = visit(servers.notebook)
    notebook = visitor.open_tree().new_notebook(f"{PYTHON} · jkg")
    notebook.wait_for_kernel(f"{PYTHON} · jkg").run_cell("x = 1")
    why = notebook.page.get_by_text("The kernel on jkg is gone")
    (gone,) = visitor.kernel_ids()
    servers.gateways["jkg"].request("DELETE", f"/api/kernels/{gone}")
    cell = notebook.start_cell("print('into the void')")
    cell.wait_for_text("ended before this cell ran")
    expect(why).to_be_visible()
    cell = notebook.start_cell("print(6 * 7)")
    expect(notebook.dialog).to_contain_text("Select Kernel")
    notebook.answer_dialog("Select")
    cell.wait_for_text("42")
    assert backend_of(visitor) == ["jkg"]
    expect(why).to_have_count(0)
    (gone,) = visitor.kernel_ids()
    servers.gateways["jkg"].request("DELETE", f"/api/kernels/{gone}")
    expect(why).to_be_visible()
    notebook.page.get_by_role("button", name="Start Another").click()
    wait_for("another kernel", lambda: visitor.kernel_ids() not in ([], [gone]))
    notebook.wait_for_kernel(f"{PYTHON} · jkg")
    assert notebook.run_cell("print(6 * 7)").strip() == "42"


def test_a_gateway_that_stands_still_holds_up_no_new_notebook(farm: Farm, visit: Visit) -> None:
    gateway = farm.gateway("kernel-gateway").start()
    visitor = visit(several(farm, "--mode=local", gpu=gateway).start())
    tree = visitor.open_tree()
    wait_for("its kernels", lambda: f"{PYTHON} · gpu" in tree.new_menu())
    gateway.signal(signal.SIGSTOP)
    try:
        start = time.monotonic()
        opened = tree.new(f"{PYTHON} · {HERE}")
        assert time.monotonic() - start < GESTURE  # else the browser opens no tab
        notebook = NotebookPage(opened).wait_for_kernel(f"{PYTHON} · {HERE}")
        assert notebook.run_cell("print(6 * 7)").strip() == "42"
    finally:
        gateway.signal(signal.SIGCONT)


def test_two_tabs_that_open_one_notebook_have_one_kernel(farm: Farm, visit: Visit) -> None:
    visitor = visit(farm.notebook().start())
    visitor.write_notebook("a.ipynb", "python3")
    pages = [visitor.context.new_page() for _ in range(2)]
    for page in pages:
        page.goto(visitor.url("notebooks", "/a.ipynb"), wait_until="commit")
    first, second = (NotebookPage(page).wait_for_kernel() for page in pages)
    first.run_cell("x = 'shared'")
    second.page.bring_to_front()
    assert second.run_cell("print(x)").strip() == "shared"
    assert len(visitor.server.get("/notebook-remote/api/kernels").json()["kernels"]) == 1
    assert len(visitor.server.get("/api/sessions").json()) == 1


def test_a_start_that_takes_long_is_shown_and_cancelled(farm: Farm, visit: Visit) -> None:
    gateway = farm.gateway("kernel-gateway", "--JupyterWebsocketPersonality.list_kernels=True")
    gateway.start()
    with Intermediary(urlsplit(gateway.url).port or 0) as link:
        env = {"JUPYTER_GATEWAY_URL": link.url, "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token}
        visitor = visit(farm.notebook(env=env).start())
        notebook = visitor.open_notebook().wait_for_kernel()
        notebook.choose("Kernel", "Shut Down Kernel")
        expect(notebook.kernel_name).to_have_text("No Kernel")
        link.blackhole("down")
        notebook.choose("Kernel", "Change Kernel…")
        notebook.dialog.locator("select").select_option(label=f"{PYTHON} · gateway")
        notebook.answer_dialog("Select")
        expect(indicator(notebook)).to_have_text(re.compile(r"gateway · starting, \d+ s"))
        wait_for("the kernel to be there", lambda: gateway.get("/api/kernels").json())
        indicator(notebook).click()
        expect(notebook.dialog).to_contain_text("no kernel is left there")
        notebook.answer_dialog("Cancel the Start")
        expect(notebook.dialog).to_contain_text("was cancelled")
        link.restore()
        wait_for("no kernel to be left", lambda: gateway.get("/api/kernels").json() == [])
