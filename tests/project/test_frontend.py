"""The committed labextension; `tox -e frontend` checks that it is what its source builds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import notebook_remote

PACKAGE = Path(notebook_remote.__file__).parent
BUILT = PACKAGE / "labextension" / "notebook-remote"


def package(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "package.json").read_text()))


def test_it_has_our_version() -> None:
    assert package(PACKAGE / "frontend")["version"] == notebook_remote.__version__
    assert package(BUILT)["version"] == notebook_remote.__version__


def test_what_it_loads_is_there_and_small() -> None:
    assert (BUILT / package(BUILT)["jupyterlab"]["_build"]["load"]).is_file()
    assert sum(path.stat().st_size for path in BUILT.rglob("*.js")) < 90_000


def test_the_toolbars_item_has_its_schema() -> None:
    schema = json.loads((BUILT / "schemas" / "notebook-remote" / "indicator.json").read_text())
    assert schema["jupyter.lab.toolbars"]["Notebook"][0]["name"] == "notebookRemote"
