"""Steps of the browser tests of direct mode."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import Locator, WebSocket, expect

from .browser_pages import NotebookPage, Visitor
from .intermediary import Intermediary
from .servers import Server

Visit = Callable[[Server], Visitor]


FALLBACK_WITHIN = 3.0  # seconds


def indicator(notebook: NotebookPage) -> Locator:
    return notebook.page.get_by_role("button", name="Connection to the kernel")


def spoken(notebook: NotebookPage) -> Locator:
    return notebook.page.locator(".nbr-Indicator [role=status]")


def channels(visitor: Visitor) -> list[str]:
    """The ports that the page's kernel WebSockets went to, in their order."""
    endpoints = [urlsplit(url) for url in visitor.websockets if "/channels" in url]
    return [str(place.port) for place in endpoints]


def port(server: Server) -> str:
    return str(urlsplit(server.url).port)


class Opening:
    """When a visitor's page asked where the channels are, and then made its first socket."""

    def __init__(self, visitor: Visitor) -> None:
        self.asked: list[float] = []
        self.made: list[float] = []
        context = visitor.context
        context.on("request", lambda request: self._note(self.asked, request.url))
        context.on("page", lambda page: page.on("websocket", self._note_socket))

    def _note_socket(self, socket: WebSocket) -> None:
        self._note(self.made, socket.url)

    def _note(self, when: list[float], url: str) -> None:
        if "/channels" in url:
            when.append(time.monotonic())

    @property
    def seconds(self) -> float:
        return self.made[0] - self.asked[0]


def relayed(visitor: Visitor) -> list[str]:
    """The visitor's kernels whose messages the notebook server passes on."""
    links = visitor.server.get("/notebook-remote/api/links").json()
    return [link["kernel_id"] for link in links if link["kernel_id"] in visitor.kernel_ids()]


def no_ticket_in(visitor: Visitor, notebook: NotebookPage) -> None:
    """Neither the console nor the page shows one."""
    assert [line for line in visitor.diary if "nr_token" in line] == []
    assert "nr_token" not in notebook.page.content()


Between = Callable[..., Intermediary]


def at(url: str) -> str:
    """The option with which pages reach the gateway there."""
    return f"--Gateway.page_ws_url={url}"


# -- what blocks ---------------------------------------------------------------------------------


def falls_back(visitor: Visitor, *reason: str) -> NotebookPage:
    """The relay carries a new notebook's cells, in time; the dialog, left open, says why."""
    opening = Opening(visitor)
    notebook = visitor.open_notebook().wait_for_kernel()
    assert notebook.run_cell("print(6 * 7)").strip() == "42"
    assert channels(visitor) == [port(visitor.server)]
    assert relayed(visitor) == visitor.kernel_ids()
    assert opening.seconds < FALLBACK_WITHIN
    expect(indicator(notebook)).to_have_text("gateway · not direct")
    indicator(notebook).click()
    for words in reason:
        expect(notebook.dialog).to_contain_text(words)
    return notebook
