"""Notebooks for the tests of runs without a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat


def notebook(*cells: str, kernel: str = "python3") -> Any:
    """One with these cells of code, as Jupyter saves it."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    made.metadata.kernelspec = {
        "name": kernel,
        "display_name": "Python 3",
        "language": "python",
    }
    return made


def write(path: Path, *cells: str, kernel: str = "python3") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook(*cells, kernel=kernel), path)
    return path


def read(path: Path) -> list[str]:
    """What is shown below each cell."""
    return [shown(cell) for cell in nbformat.read(path, as_version=4).cells]


def shown(cell: Any) -> str:
    texts = []
    for output in cell.get("outputs", ()):
        if output.output_type == "stream":
            texts.append(output.text)
        elif output.output_type == "error":
            texts.append(f"{output.ename}: {output.evalue}")
        else:
            texts.append(output.data.get("text/plain", ""))
    return "".join(texts)


def until(path: Path) -> str:
    """Code that waits for a file of the test."""
    return f"import os, time\nwhile not os.path.exists({str(path)!r}): time.sleep(0.02)\n"
