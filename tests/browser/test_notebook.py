"""The real pages in Chromium: what a person sees and does, over every kind of gateway."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import expect

from ..support.browser_pages import NOT_RUN, NotebookPage, Visitor
from ..support.browser_recipes import BUSY, IMAGE, SLIDER, UPLOAD, UPLOADED, gateway_of
from ..support.servers import Farm, Server, wait_for
from ..support.shared_servers import EVERYWHERE, SharedServers

pytestmark = pytest.mark.browser

TWO = ["embedded", "kernel-gateway"]

# The page itself proposes words that it finds in the notebook: these are not written in it.
CRATE = """
class Crate:
    'Holds apples.'
for end in ("ears", "lums"):
    setattr(Crate, "p" + end, 0)
"""


# -- everyday work, on every gateway -------------------------------------------------------------


@pytest.mark.parametrize("where", EVERYWHERE)
def test_a_new_notebook_runs_and_the_page_talks_to_the_notebook_server_only(
    shared: SharedServers, where: str, visit: Callable[[Server], Visitor]
) -> None:
    server = shared.notebook(where)
    visitor = visit(server)
    notebook = visitor.open_tree().new_notebook().wait_for_kernel()
    shown = notebook.run_cell("import socket; print(socket.gethostname())")
    assert shown.strip() == socket.gethostname()

    gateway_url, gateway_token = gateway_of(server)
    assert gateway_token
    ours, gateways = urlsplit(server.url).netloc, urlsplit(gateway_url).netloc
    assert ours != gateways
    channels = [url for url in visitor.websockets if "/channels" in url]
    assert channels
    assert {urlsplit(url).netloc for url in visitor.websockets} == {ours}
    assert {urlsplit(url).netloc for url in visitor.requests if url.startswith("http")} == {ours}
    told = visitor.texts_received()
    assert any("/notebooks/" in url for url in told)
    assert any("/api/kernelspecs" in url for url in told)
    assert any("/api/sessions" in url for url in told)
    assert [url for url in [*visitor.requests, *visitor.websockets] if gateway_token in url] == []
    assert [url for url, text in told.items() if gateway_token in text] == []


@pytest.mark.parametrize("where", TWO)
def test_widgets_work_both_ways(
    shared: SharedServers, where: str, visit: Callable[[Server], Visitor], tmp_path: Path
) -> None:
    notebook = visit(shared.notebook(where)).open_tree().new_notebook().wait_for_kernel()

    cell = notebook.start_cell(SLIDER)
    handle = cell.output.locator(".noUi-handle")
    handle.press("PageUp")  # the arrow keys are shortcuts of the notebook
    cell.wait_for_text("the kernel has 12")
    assert notebook.run_cell("slider.value").strip() == "12"
    notebook.run_cell("slider.value = 30")
    expect(cell.output.locator(".widget-readout")).to_have_text("30")
    cell.wait_for_text("the kernel has 30")

    cell = notebook.start_cell(IMAGE)  # binary to the page
    expect(cell.output.locator("img")).to_have_js_property("naturalWidth", 256)

    blob = bytes(range(256)) * 400
    (tmp_path / "blob.bin").write_bytes(blob)
    cell = notebook.start_cell(UPLOAD)  # binary from the page
    with notebook.page.expect_file_chooser() as chooser:
        cell.output.locator("button").click()
    chooser.value.set_files(tmp_path / "blob.bin")
    expect(cell.output.locator("button")).to_contain_text("(1)")
    said = notebook.run_cell(UPLOADED).split()
    assert said == ["blob.bin", str(len(blob)), hashlib.sha256(blob).hexdigest()]


def test_widgets_that_nobody_takes_are_told(farm: Farm, visit: Callable[[Server], Visitor]) -> None:
    """As without jupyterlab_widgets, which is switched off here."""
    server = farm.notebook()
    folder = Path(server.env["JUPYTER_CONFIG_DIR"]) / "labconfig"
    folder.mkdir(parents=True)
    off = {"disabledExtensions": {"@jupyter-widgets/jupyterlab-manager": True}}
    (folder / "page_config.json").write_text(json.dumps(off))
    notebook = visit(server.start()).open_notebook().wait_for_kernel()
    notebook.start_cell(SLIDER)
    expect(notebook.page.get_by_text("install jupyterlab_widgets")).to_be_visible()


@pytest.mark.parametrize("where", TWO)
def test_a_busy_cell_is_interrupted_by_the_button(
    shared: SharedServers, where: str, visit: Callable[[Server], Visitor]
) -> None:
    notebook = visit(shared.notebook(where)).open_notebook().wait_for_kernel()
    cell = notebook.start_cell(BUSY)
    cell.wait_for_text("busy")
    notebook.press_button("notebook:interrupt-kernel")
    cell.wait_for_text("KeyboardInterrupt")
    assert notebook.run_cell("print('goes on')").strip() == "goes on"


@pytest.mark.parametrize("where", ["embedded", "jupyter-server"])
def test_a_busy_kernel_is_restarted_from_the_menu(
    shared: SharedServers, where: str, visit: Callable[[Server], Visitor]
) -> None:
    visitor = visit(shared.notebook(where))
    notebook = visitor.open_notebook().wait_for_kernel()
    notebook.run_cell("x = 1")
    before = visitor.kernel_ids()
    notebook.start_cell(BUSY).wait_for_text("busy")
    notebook.choose("Kernel", "Restart Kernel…")
    expect(notebook.dialog).to_contain_text("All variables will be lost")
    with notebook.page.expect_response(lambda response: "/restart" in response.url) as answer:
        notebook.answer_dialog("Restart")
    assert answer.value.status == 200
    assert "NameError" in notebook.run_cell("x")
    assert visitor.kernel_ids() == before


def test_a_kernel_that_dies_is_restarted_and_the_page_says_so(
    shared: SharedServers, visit: Callable[[Server], Visitor]
) -> None:
    notebook = visit(shared.notebook("jupyter-server")).open_notebook().wait_for_kernel()
    notebook.run_cell("x = 1")
    notebook.start_cell("import os; os._exit(1)")
    expect(notebook.dialog).to_contain_text("It will restart automatically")
    notebook.answer_dialog("Ok")
    assert "NameError" in notebook.run_cell("x")


def test_input_is_asked_in_the_page(
    shared: SharedServers, visit: Callable[[Server], Visitor]
) -> None:
    notebook = visit(shared.notebook("embedded")).open_notebook().wait_for_kernel()
    cell = notebook.start_cell("print('hello ' + input('who? '))")
    expect(cell.output.locator(".jp-Stdin-prompt")).to_have_text("who? ")
    box = cell.output.locator("input.jp-Stdin-input")
    box.fill("Ada")
    box.press("Enter")
    cell.wait_for_text("hello Ada")
    cell.wait_until_run()


def test_the_debugger_stops_at_a_breakpoint_and_goes_on(
    shared: SharedServers, visit: Callable[[Server], Visitor]
) -> None:
    notebook = visit(shared.notebook("kernel-gateway")).open_notebook().wait_for_kernel()
    page = notebook.page
    cell = notebook.type_cell("apples = 6\nprint(apples * 7)")
    page.locator(".jp-DebuggerBugButton").click()
    gutter = page.locator(".cm-gutter.cm-breakpoint-gutter")
    expect(gutter).to_be_visible()
    place = gutter.bounding_box()
    assert place is not None
    page.mouse.click(place["x"] + 4, place["y"] + place["height"] - 12)  # beside the last line
    expect(page.locator(".cm-breakpoint-icon:visible")).to_have_count(1)
    cell.editor.click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".jp-DebuggerEditor-highlight")).to_have_count(1)
    assert cell.output.count() == 0
    page.keyboard.press("F9")
    expect(cell.output).to_contain_text("42")


def test_completion_and_the_tooltip_show_what_the_kernel_knows(
    shared: SharedServers, visit: Callable[[Server], Visitor]
) -> None:
    notebook = visit(shared.notebook("embedded")).open_notebook().wait_for_kernel()
    notebook.run_cell(CRATE)
    notebook.type_cell("Crate.p")
    choices = notebook.complete()
    expect(choices.filter(has_text="pears")).to_be_visible()
    expect(choices.filter(has_text="plums")).to_be_visible()
    notebook.press("Escape")
    notebook.type_cell("Crate")
    notebook.press("Shift+Tab")
    expect(notebook.page.locator(".jp-Tooltip")).to_contain_text("Holds apples.")


def test_a_closed_notebook_opens_again_with_its_kernel_and_its_output(
    shared: SharedServers, visit: Callable[[Server], Visitor]
) -> None:
    visitor = visit(shared.notebook("jupyter-server"))
    tree = visitor.open_tree()
    notebook = tree.new_notebook().wait_for_kernel()
    notebook.run_cell("x = 6; print('kept output')")
    kernels = visitor.kernel_ids()
    notebook.save()
    notebook.close()
    again = tree.open_notebook("Untitled.ipynb").wait_for_kernel()
    again.cell(0).wait_for_text("kept output")
    assert again.run_cell("x * 7").endswith("42")
    assert visitor.kernel_ids() == kernels
    assert len(kernels) == 1


def test_jupyterlab_of_the_same_server_runs_a_cell(
    shared: SharedServers, visit: Callable[[Server], Visitor]
) -> None:
    lab = visit(shared.notebook("jupyter-server")).open_lab().wait_for_kernel()
    assert lab.run_cell("print(6 * 7)").strip() == "42"


def test_local_mode_runs_a_cell(shared: SharedServers, visit: Callable[[Server], Visitor]) -> None:
    notebook = visit(shared.notebook("local")).open_tree().new_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"


# -- trouble -------------------------------------------------------------------------------------


def test_a_kernel_deleted_at_the_gateway_is_seen_gone_and_the_next_cell_starts_another(
    shared: SharedServers, visit: Callable[[Server], Visitor]
) -> None:
    visitor = visit(shared.notebook("jupyter-server"))
    notebook = visitor.open_notebook().wait_for_kernel()
    notebook.run_cell("x = 1")
    (kernel_id,) = visitor.kernel_ids()
    answer = shared.gateway("jupyter-server").request("DELETE", f"/api/kernels/{kernel_id}")
    assert answer.status_code == 204
    expect(notebook.kernel_name).to_have_text("No Kernel", timeout=20_000)
    notebook.wait_for_status("disconnected")
    assert "NameError" in notebook.run_cell("x")
    assert visitor.kernel_ids() != [kernel_id]


@pytest.mark.timeout(240)
def test_a_gateway_that_dies_and_comes_back_empty_leaves_no_cell_running(
    farm: Farm, visit: Callable[[Server], Visitor]
) -> None:
    gateway = farm.gateway("jupyter-server").start()
    notebook = visit(farm.notebook(gateway=gateway).start()).open_notebook().wait_for_kernel()
    notebook.run_cell("x = 1")
    running = notebook.start_cell(BUSY)
    running.wait_for_text("busy")
    gateway.kill()
    notebook.wait_for_status("connecting")
    sent_meanwhile = notebook.start_cell("print('sent while the gateway was down')")
    gateway.start()  # a new process, without the kernel
    # The page looks again when its own back-off lets it, which may be after half a minute.
    expect(notebook.kernel_name).to_have_text("No Kernel", timeout=90_000)
    expect(running.prompt).to_have_text(NOT_RUN)
    expect(sent_meanwhile.prompt).to_have_text(NOT_RUN)
    assert "NameError" in notebook.run_cell("x")


def test_without_a_gateway_files_are_edited_and_with_it_a_reload_is_enough(
    farm: Farm, visit: Callable[[Server], Visitor]
) -> None:
    gateway = farm.gateway("jupyter-server")  # not started yet
    visitor = visit(farm.notebook(gateway=gateway).start())
    tree = visitor.open_tree()
    assert tree.new_menu() == ["Terminal", "Console", "New File", "New Folder"]
    editor = tree.new_file("notes.txt")
    editor.write("first\nsecond\n")
    editor.save()
    assert visitor.path("notes.txt").read_text() == "first\nsecond\n"

    notebook = visitor.open_notebook()
    expect(notebook.dialog).to_contain_text("Select Kernel")
    gateway.start()
    notebook.reload()
    notebook.wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    tree.reload()
    wait_for("the kernel in the menu", lambda: "Python 3 (ipykernel)" in tree.new_menu())


def test_while_the_embedded_gateway_starts_python_is_offered(
    farm: Farm, visit: Callable[[Server], Visitor]
) -> None:
    """It is stopped while it does. The tab opens all the same."""
    server = farm.notebook().start(wait=False)

    def of_the_gateway() -> list[psutil.Process]:
        processes = psutil.Process(server.pid).children(recursive=True)
        return [p for p in processes if "embedded.server" in " ".join(p.cmdline())]

    (gateway,) = wait_for("the gateway's process", of_the_gateway)
    gateway.suspend()
    wait_for("the server", server._answers)
    tree = visit(server).open_tree()
    wait_for("Python", lambda: "Python 3 (starting…)" in tree.new_menu())
    opened = tree.new("Python 3 (starting…)")
    gateway.resume()
    assert NotebookPage(opened).wait_for_kernel().run_cell("print(6 * 7)").strip() == "42"
    wait_for("the kernel itself", lambda: "Python 3 (ipykernel)" in tree.new_menu())


def test_a_notebook_of_an_unknown_kernelspec_asks_for_another(
    shared: SharedServers, visit: Callable[[Server], Visitor]
) -> None:
    notebook = visit(shared.notebook("jupyter-server")).open_notebook(kernel="nosuch")
    expect(notebook.dialog).to_contain_text("Select Kernel")
    names = ["Python 3 (ipykernel) · gateway", "No Kernel"]
    expect(notebook.dialog.locator("option")).to_have_text(names)
    notebook.answer_dialog("Select")
    notebook.wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"


def test_a_token_refused_later_is_told_when_a_kernel_is_started(
    farm: Farm, visit: Callable[[Server], Visitor], tmp_path: Path
) -> None:
    gateway = farm.gateway("jupyter-server").start()
    token = tmp_path / "token"
    token.write_text(gateway.token)
    server = farm.notebook(f"--gateway-token-file={token}", gateway=gateway.url).start()
    notebook = visit(server).open_notebook().wait_for_kernel()
    notebook.choose("Kernel", "Shut Down Kernel")
    expect(notebook.kernel_name).to_have_text("No Kernel")
    token.write_text("expired")
    notebook.choose("Kernel", "Change Kernel…")
    notebook.answer_dialog("Select")
    expect(notebook.dialog).to_contain_text("Error Starting Kernel")
    expect(notebook.dialog).to_contain_text("refused our token")
    expect(notebook.dialog).to_contain_text("enter its token in Settings → Gateways…")
    notebook.answer_dialog("Ok")
    token.write_text(gateway.token)
    assert notebook.run_cell("print(6 * 7)").strip() == "42"


def test_a_restart_that_is_refused_does_not_leave_the_page_restarting(
    farm: Farm, visit: Callable[[Server], Visitor], tmp_path: Path
) -> None:
    gateway = farm.gateway("jupyter-server").start()
    token = tmp_path / "token"
    token.write_text(gateway.token)
    server = farm.notebook(f"--gateway-token-file={token}", gateway=gateway.url).start()
    notebook = visit(server).open_notebook().wait_for_kernel()
    notebook.run_cell("x = 6")
    token.write_text("expired")
    notebook.choose("Kernel", "Restart Kernel…")
    with notebook.page.expect_response(lambda response: "/restart" in response.url) as answer:
        notebook.answer_dialog("Restart")
    assert answer.value.status == 424
    expect(notebook.indicator).not_to_have_attribute("data-status", "restarting", timeout=10_000)
    token.write_text(gateway.token)
    notebook.choose("Kernel", "Reconnect to Kernel")
    notebook.wait_for_kernel()
    assert notebook.run_cell("x * 7").endswith("42")


def test_with_a_wrong_token_from_the_start_the_page_and_the_log_say_why(
    farm: Farm, visit: Callable[[Server], Visitor]
) -> None:
    gateway = farm.gateway("jupyter-server").start()
    wrong = {"JUPYTER_GATEWAY_AUTH_TOKEN": "wrong"}
    server = farm.notebook(gateway=gateway.url, env=wrong).start()
    notebook = visit(server).open_notebook()
    expect(notebook.dialog).to_contain_text("Select Kernel")
    expect(notebook.dialog.locator("option")).to_have_text(["No Kernel"])
    expect(notebook.page.locator(".Toastify__toast")).to_contain_text("refused our token")
    notebook.page.keyboard.press("Escape")
    notebook.page.get_by_role("button", name="What to do").click()
    expect(notebook.dialog).to_contain_text("enter its token in Settings → Gateways…")
    assert "refused our token" in server.log
    notebook.answer_dialog("Close")
    notebook.choose("Settings", "Gateways…")
    notebook.dialog.get_by_role("button", name="Edit gateway").click()
    expect(notebook.dialog.locator("[name=url]")).to_be_disabled()  # it is configured
    notebook.dialog.locator("[name=auth_token]").fill(gateway.token)
    notebook.answer_dialog("Save")
    expect(notebook.dialog.locator("tr", has_text="gateway")).to_contain_text("ready")
    notebook.answer_dialog("Close")
    expect(notebook.page.get_by_text("The gateway can be used again")).to_be_visible()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"


def test_the_page_says_why_there_are_no_kernels_and_has_them_when_the_gateway_comes(
    farm: Farm, visit: Callable[[Server], Visitor]
) -> None:
    """Without a reload; then without our labextension, and the page still works."""
    gateway = farm.gateway("kernel-gateway")  # not started yet
    tree = visit(farm.notebook(gateway=gateway).start()).open_tree()
    expect(tree.page.locator(".Toastify__toast")).to_contain_text("connection refused")
    gateway.start()
    expect(tree.page.get_by_text("The gateway can be used again")).to_be_visible()
    wait_for("the kernel in the menu", lambda: "Python 3 (ipykernel)" in tree.new_menu())

    option = "--LabServerApp.extra_labextensions_path=[]"
    visitor = visit(farm.notebook(option, gateway=gateway).start())
    notebook = visitor.open_notebook().wait_for_kernel()
    assert not [url for url in visitor.requests if "remoteEntry.js" in url]
    assert notebook.run_cell("print(6 * 7)").strip() == "42"


def test_a_notebook_server_that_is_killed_and_started_again_still_has_the_kernel(
    farm: Farm, visit: Callable[[Server], Visitor]
) -> None:
    server = farm.notebook().start()
    visitor = visit(server)
    notebook = visitor.open_notebook().wait_for_kernel()
    notebook.run_cell("x = 6")
    kernels = visitor.kernel_ids()
    server.kill()
    notebook.wait_for_status("connecting")
    server.start()
    wait_for("the kernel in the list again", lambda: visitor.kernel_ids() == kernels)
    notebook.choose("Kernel", "Reconnect to Kernel")  # the page itself may wait half a minute
    notebook.wait_for_kernel()
    assert notebook.run_cell("x * 7").endswith("42")
