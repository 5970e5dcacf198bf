"""Steps of the browser tests of browser mode."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator

from .browser_pages import NotebookPage, Visitor
from .browser_recipes import BUSY
from .certificates import Files
from .servers import Farm, free_port

EG = pytest.param("enterprise-gateway", marks=pytest.mark.eg)


KINDS = ["jupyter-server", "kernel-gateway", EG]


HOST = "gateway.test"  # for Chromium only: the notebook server cannot even resolve it


# What stock gateways need so that they answer pages of this origin.
STOCK_CORS: dict[str, Callable[[str], list[str]]] = {
    "jupyter-server": lambda origin: [f"--ServerApp.allow_origin={origin}"],
    "enterprise-gateway": lambda origin: [
        f"--EnterpriseGatewayApp.allow_origin={origin}",
        "--EnterpriseGatewayApp.allow_headers=authorization, content-type",
        "--EnterpriseGatewayApp.allow_methods=GET, POST, DELETE, OPTIONS",
    ],
}


class Pair:
    """A gateway with the add-on, which allows the pages of the notebook server beside it."""

    def __init__(
        self,
        farm: Farm,
        kind: str,
        *options: str,
        addon: bool = True,
        host: str = HOST,
        port: int = 0,
        via: int = 0,
        tls: Files | None = None,
        page_tls: Files | None = None,
    ) -> None:
        """``port`` is the gateway's, ``via`` that of an intermediary in front of it.

        ``tls`` is for both, ``page_tls`` for the notebook server only.
        """
        here = free_port()
        origin = f"http{'s' if tls or page_tls else ''}://localhost:{here}"
        stock = STOCK_CORS[kind](origin) if not addon and kind in STOCK_CORS else []
        remote = ["--ServerApp.allow_remote_access=True"] if kind == "jupyter-server" else []
        allowed = {"NOTEBOOK_REMOTE_ALLOWED_ORIGINS": origin}
        self.gateway = farm.gateway(
            kind, *stock, *remote, addon=addon, port=port, env=allowed, tls=tls
        )
        self.port = via or urlsplit(self.gateway.url).port
        user = {"KERNEL_USERNAME": "ada"} if kind == "enterprise-gateway" else {}
        url = f"--gateway-url=http{'s' if tls else ''}://{host}:{self.port}"
        self.notebook = farm.notebook(
            "--mode=browser", url, *options, env=user, port=here, tls=tls or page_tls
        )
        self.gateway.start()
        self.notebook.start()


def token_field(notebook: NotebookPage) -> Locator:
    return notebook.dialog.get_by_label(re.compile("needs its token"))


def enter(notebook: NotebookPage, token: str) -> None:
    notebook.dialog.locator("input").fill(token)
    notebook.answer_dialog("Sign In")


def opened(visitor: Visitor, pair: Pair, name: str = "a.ipynb") -> NotebookPage:
    """A new notebook; the token is entered where it is asked for."""
    visitor.write_notebook(name, "python3")
    notebook = visitor.reopen_notebook(name, wait=False)
    enter(notebook, pair.gateway.token)
    return notebook.wait_for_kernel()


def interrupt_and_restart(notebook: NotebookPage, name: str = "Python 3 (ipykernel)") -> None:
    cell = notebook.start_cell(BUSY)
    cell.wait_for_text("busy")
    notebook.press_button("notebook:interrupt-kernel")
    cell.wait_for_text("KeyboardInterrupt")
    notebook.run_cell("x = 1")
    notebook.choose("Kernel", "Restart Kernel…")
    notebook.answer_dialog("Restart")
    notebook.wait_for_kernel(name)
    assert "NameError" in notebook.run_cell("x")


def ports(urls: list[str], part: str) -> set[int | None]:
    return {urlsplit(url).port for url in urls if part in url}


def origins(urls: list[str], part: str) -> set[str]:
    parts = [urlsplit(url) for url in urls if part in urlsplit(url).path]
    return {f"{part.scheme}://{part.netloc}" for part in parts}
