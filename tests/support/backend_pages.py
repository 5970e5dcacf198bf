"""Steps of the browser tests with several backends."""

from __future__ import annotations

from playwright.sync_api import Locator

from .browser_pages import JupyterPage, Visitor

PYTHON = "Python 3 (ipykernel)"


HERE = "This computer"


def indicator(page: JupyterPage) -> Locator:
    return page.page.locator(".nbr-Indicator button")


def backend_of(visitor: Visitor) -> list[str]:
    sessions = visitor.server.get("/api/sessions").json()
    mine = (s for s in sessions if s["path"].startswith(f"{visitor.folder}/"))
    return [session["kernel"]["backend"] for session in mine]
