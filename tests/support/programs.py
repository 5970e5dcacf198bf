"""Programs of the machine that tests need: a browser, nginx."""

from __future__ import annotations

import os
import shutil


def unset(variable: str) -> str | None:
    return None if os.environ.get(variable) else variable


def find_browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("NOTEBOOK_REMOTE_BROWSER") or next(
        filter(None, map(shutil.which, names)), None
    )


def find_nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
