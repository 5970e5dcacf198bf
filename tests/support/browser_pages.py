"""The pages of Jupyter Notebook and JupyterLab as a person uses them, in Chromium."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    Response,
    WebSocket,
    expect,
    sync_playwright,
)
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from .certificates import Authority
from .servers import PATIENCE, Server, wait_for

PATIENCE_MS = PATIENCE * 1000
NOT_RUN = re.compile(r"^\[ \]:")
RAN = re.compile(r"^\[\d+\]:")
# Chromium's own traffic must not disturb what the tests say about the page's.
QUIET = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
expect.set_options(timeout=PATIENCE_MS)


@contextlib.contextmanager
def chromium(executable: str, *options: str, trusts: Authority | None = None) -> Iterator[Browser]:
    """A headless Chromium. While it is open, this thread counts as one with an event loop."""
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
    args = [*QUIET, *as_root, *options]
    with contextlib.ExitStack() as stack:
        env = None
        if trusts:
            temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            home = stack.enter_context(temporary)
            trusts.trusted_by_chromium(Path(home))
            env = {**os.environ, "HOME": home}
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=executable, args=args, env=env)
        yield browser
        browser.close()


class Visitor:
    """Someone with a browser profile of their own, in a folder of their own on a server.

    Notes all that the browser asks for and everything that goes wrong in it.
    """

    def __init__(self, browser: Browser, server: Server) -> None:
        self.server = server
        self.folder = f"visitor-{uuid.uuid4().hex[:8]}"
        (server.folder / self.folder).mkdir()
        self.context: BrowserContext = browser.new_context(viewport={"width": 1200, "height": 700})
        self.context.set_default_timeout(PATIENCE_MS)
        self.requests: list[str] = []
        self.responses: list[Response] = []
        self.websockets: list[str] = []
        self.diary: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request.url))
        self.context.on("response", self._note_response)
        self.context.on("page", lambda page: page.on("websocket", self._note_websocket))
        self.context.on("console", lambda said: self.diary.append(f"{said.type}: {said.text}"))

    def _note_response(self, response: Response) -> None:
        self.responses.append(response)
        if response.status >= 400:
            self.diary.append(f"HTTP {response.status} {response.request.method} {response.url}")

    def _note_websocket(self, websocket: WebSocket) -> None:
        self.websockets.append(websocket.url)

    # -- where to go ----------------------------------------------------------------------------

    def url(self, where: str, path: str) -> str:
        return f"{self.server.url}/{where}/{self.folder}{path}?token={self.server.token}"

    def open_tree(self) -> TreePage:
        page = self.context.new_page()
        page.goto(self.url("tree", ""))
        page.locator(".jp-DirListing-content").wait_for()
        return TreePage(page)

    def open_notebook(self, *, kernel: str = "python3", name: str = "a.ipynb") -> NotebookPage:
        """A new, empty notebook file of this kernel, opened by its address."""
        self.write_notebook(name, kernel)
        return self.reopen_notebook(name)

    def reopen_notebook(self, name: str = "a.ipynb", wait: bool = True) -> NotebookPage:
        page = self.context.new_page()
        page.goto(self.url("notebooks", f"/{name}"))
        return NotebookPage(page, wait)

    def open_lab(self, name: str = "a.ipynb", wait: bool = True) -> NotebookPage:
        self.write_notebook(name, "python3")
        page = self.context.new_page()
        page.goto(self.url("lab/tree", f"/{name}"))
        return NotebookPage(page, wait)

    def texts_received(self) -> dict[str, str]:
        """Every page, script and answer that the browser got, by its address."""
        texts = {}
        for response in self.responses:
            if response.request.resource_type in ("document", "fetch", "xhr") and response.ok:
                with contextlib.suppress(PlaywrightError):  # of a page that has been left
                    texts[response.url] = response.text()
        return texts

    # -- files ----------------------------------------------------------------------------------

    def path(self, name: str) -> Path:
        return self.server.folder / self.folder / name

    def write_notebook(self, name: str, kernel: str, *cells: str) -> None:
        content = {
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"cell-{number}",
                    "source": source,
                    "metadata": {},
                    "outputs": [],
                    "execution_count": None,
                }
                for number, source in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": kernel, "display_name": kernel}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        path = f"/api/contents/{self.folder}/{name}"
        answer = self.server.request("PUT", path, json={"type": "notebook", "content": content})
        assert answer.status_code == 201, answer.text

    def kernel_ids(self) -> list[str]:
        """The kernels of the notebooks in this visitor's folder."""
        sessions = self.server.get("/api/sessions").json()
        mine = [s for s in sessions if s["path"].startswith(f"{self.folder}/")]
        return [s["kernel"]["id"] for s in mine]

    # -- the end --------------------------------------------------------------------------------

    def leave_evidence(self, folder: Path) -> None:
        """Screenshots and the browser's complaints, for who looks into a failed test."""
        for number, page in enumerate(self.context.pages):
            with contextlib.suppress(PlaywrightError):
                page.screenshot(path=folder / f"page-{number}.png", timeout=5000)
        (folder / "browser.log").write_text("\n".join(self.diary))

    def leave(self) -> None:
        """Close the pages, shut the kernels down, remove the files.

        Pages may finish loading before: a jupyter_server that is stopped while it answers its
        first /api/nbconvert, which takes a second or two, never ends (a thread of anyio waits).
        """
        for page in self.context.pages:
            with contextlib.suppress(PlaywrightError):
                page.wait_for_load_state("networkidle", timeout=10_000)
        self.context.close()
        if self.server.process is not None and self.server.process.poll() is None:
            sessions = self.server.get("/api/sessions")
            for session in sessions.json() if sessions.ok else []:
                if session["path"].startswith(f"{self.folder}/"):
                    self.server.request("DELETE", f"/api/sessions/{session['id']}")
        shutil.rmtree(self.server.folder / self.folder)


class JupyterPage:
    """What the pages of Jupyter have in common: menus and dialogs."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def dialog(self) -> Locator:
        return self.page.locator(".jp-Dialog")

    @property
    def menu_items(self) -> Locator:
        return self.page.locator(".lm-Menu-item:visible")

    def choose(self, menu: str, item: str | re.Pattern[str]) -> None:
        """Choose from the menu bar."""
        self.page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
        self.menu_items.filter(has_text=item).first.click()

    def answer_dialog(self, button: str) -> None:
        label = re.compile(f"^{re.escape(button)}$")
        self.dialog.locator(".jp-Dialog-button", has_text=label).click()

    def reload(self) -> None:
        self.page.reload()

    def close(self) -> None:
        """Close the tab as a person does; the page saves nothing by itself then."""
        self.page.close()

    def press(self, keys: str) -> None:
        self.page.keyboard.press(keys)

    def save(self) -> None:
        """Save, and wait until the server has the file."""

        def saved(response: Response) -> bool:
            return response.request.method == "PUT" and "/api/contents/" in response.url

        with self.page.expect_response(saved) as answer:
            self.press("Control+S")
        assert answer.value.ok, answer.value.status

    def screenshot(self, path: Path | str) -> None:
        self.page.screenshot(path=path)


class TreePage(JupyterPage):
    """The list of files."""

    def new(self, item: str) -> Page:
        """Choose from the New menu; the page that opens."""
        entry = self.menu_items.filter(has_text=item).first

        def offered() -> bool:
            """Whether it is there. The menu closes when the list of kernels changes."""
            if not self.menu_items.first.is_visible():
                self.page.get_by_role("menuitem", name="New").first.click()
            with contextlib.suppress(PlaywrightTimeout):
                entry.wait_for(timeout=2000)
            return entry.is_visible()

        wait_for(f"{item} in the New menu", offered)
        with self.page.context.expect_page() as opened:
            entry.click()
        return opened.value

    def new_notebook(self, kernel: str = "Python 3 (ipykernel)") -> NotebookPage:
        return NotebookPage(self.new(kernel))

    def new_menu(self) -> list[str]:
        """What the New menu offers."""
        self.page.get_by_role("menuitem", name="New").first.click()
        self.menu_items.first.wait_for()
        entries = [text.strip() for text in self.menu_items.all_inner_texts()]
        self.press("Escape")
        return entries

    def file(self, name: str) -> Locator:
        return self.page.locator(".jp-DirListing-item", has_text=name)

    def open_file(self, name: str) -> Page:
        with self.page.context.expect_page() as opened:
            self.file(name).dblclick()
        return opened.value

    def open_notebook(self, name: str) -> NotebookPage:
        return NotebookPage(self.open_file(name))

    def new_file(self, name: str) -> EditorPage:
        """A text file from the New menu, named as one is asked to, then opened."""
        self.page.get_by_role("menuitem", name="New").first.click()
        self.menu_items.filter(has_text="New File").click()
        self.page.locator("input.jp-DirListing-editor").fill(name)
        self.press("Enter")
        return EditorPage(self.open_file(name))


class EditorPage(JupyterPage):
    """A text file in the editor."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.editor = page.locator(".jp-FileEditor .cm-content")
        self.editor.wait_for()

    def write(self, text: str) -> None:
        self.editor.click()
        self.page.keyboard.insert_text(text)


class NotebookPage(JupyterPage):
    """An open notebook, in Notebook or in JupyterLab."""

    def __init__(self, page: Page, wait: bool = True) -> None:
        super().__init__(page)
        if wait:
            page.locator(".jp-Notebook-cell").first.wait_for()

    # -- the kernel -----------------------------------------------------------------------------

    @property
    def indicator(self) -> Locator:
        """The circle beside the kernel's name."""
        return self.page.locator(".jp-Notebook-ExecutionIndicator")

    @property
    def kernel_name(self) -> Locator:
        return self.page.locator(".jp-KernelName")

    def wait_for_status(self, status: str | re.Pattern[str]) -> None:
        expect(self.indicator).to_have_attribute("data-status", status)

    def wait_for_kernel(self, name: str = "Python 3 (ipykernel)") -> NotebookPage:
        """Wait until the kernel is ready. A cell run before that may be dropped by the page."""
        expect(self.kernel_name).to_have_text(name)
        self.wait_for_status("idle")
        return self

    def press_button(self, command: str) -> None:
        """A button of the notebook's toolbar."""
        self.page.locator(f'.jp-NotebookPanel-toolbar [data-command="{command}"]').click()

    # -- cells ----------------------------------------------------------------------------------

    def cell(self, number: int) -> Cell:
        """The cell at this place from 0; places do not change when cells are added below."""
        return Cell(self.page.locator(f'.jp-Notebook-cell[data-windowed-list-index="{number}"]'))

    def type_cell(self, code: str) -> Cell:
        """Put code into the last cell, where the cursor stays.

        A notebook that has just been opened takes the focus from its cell once: then again.
        """
        place = self.page.locator(".jp-Notebook-cell").last.get_attribute(
            "data-windowed-list-index"
        )
        cell = self.cell(int(place or 0))
        first_line = code.strip().partition("\n")[0].split()

        def typed() -> bool:
            cell.editor.click()
            self.press("Control+A")
            self.page.keyboard.insert_text(code)
            return cell.editor.inner_text().split()[: len(first_line)] == first_line

        wait_for("the code in its cell", typed)
        return cell

    def start_cell(self, code: str) -> Cell:
        """Run code in the last cell and go on to a new one, without waiting for its end."""
        cell = self.type_cell(code)
        self.press("Shift+Enter")
        self.cell(cell.number + 1).where.wait_for()
        return cell

    def complete(self) -> Locator:
        """Press Tab until the kernel's proposals show. The page waits 1 s for them, and the
        first ones of a kernel may take longer.
        """
        choices = self.page.locator(".jp-Completer-item")

        def shown() -> bool:
            self.press("Tab")
            with contextlib.suppress(PlaywrightTimeout):
                choices.first.wait_for(timeout=5000)
            return choices.count() > 0

        wait_for("proposals for completion", shown)
        return choices

    def run_cell(self, code: str) -> str:
        """Run code in the last cell and return the text that it leads to."""
        cell = self.start_cell(code)
        cell.wait_until_run()
        return cell.text


class Cell:
    """A code cell and its output."""

    def __init__(self, where: Locator) -> None:
        self.where = where
        self.editor = where.locator(".jp-InputArea-editor .cm-content")
        self.prompt = where.locator(".jp-InputPrompt")
        self.output = where.locator(".jp-OutputArea-output")

    @property
    def number(self) -> int:
        return int(self.where.get_attribute("data-windowed-list-index") or 0)

    @property
    def text(self) -> str:
        return "\n".join(self.output.all_inner_texts())

    def wait_until_run(self) -> None:
        expect(self.prompt).to_have_text(RAN)

    def wait_for_text(self, text: str | re.Pattern[str]) -> None:
        expect(self.output.filter(has_text=text).first).to_be_visible()
