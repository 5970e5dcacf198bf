"""The notebook file of a run: read with checks, and saved atomically."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest

from notebook_remote.headless.notebook_file import NotebookFile, read_notebook

from ..support.notebooks import notebook

CODE = {"cell_type": "code", "metadata": {}, "source": "1", "outputs": []}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, "no notebook: what it holds is missing or null"),
        ([], "no notebook: what it holds is a list"),
        ({}, "does not say its format"),
        ({"nbformat": 3, "worksheets": None}, "nbformat cannot read it"),
        ({"nbformat": 4, "metadata": {}}, "Its list of cells is missing or null"),
        ({"nbformat": 4, "metadata": {}, "cells": None}, "Its list of cells is missing or null"),
        ({"nbformat": 4, "metadata": None, "cells": []}, "Its metadata is missing or null"),
        (5, "Its cell 2 is a number"),
        ({"cell_type": "code", "source": "1"}, "The metadata of its cell 2 is missing or null"),
        ({**CODE, "cell_type": None}, "Its cell 2 does not say its type"),
        ({**CODE, "source": None}, "The source of its cell 2 is missing or null"),
        ({**CODE, "source": 5}, "The source of its cell 2 is a number"),
        ({**CODE, "source": [5]}, "A line in the source of its cell 2 is not text"),
        ({**CODE, "outputs": None}, "The output of its cell 2 is missing or null"),
    ],
)
def test_what_is_no_notebook_is_refused_with_a_sentence(
    tmp_path: Path, content: object, fault: str
) -> None:
    path = tmp_path / "a.ipynb"
    if "cell 2" in fault:
        cells = [CODE, content]
        content = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=fault):
        read_notebook(path)


def test_saving_takes_a_small_part_of_the_time(tmp_path: Path) -> None:
    file = NotebookFile(tmp_path / "a.ipynb")
    document = notebook("1")
    document.cells[0].outputs = [nbformat.v4.new_output("stream", text="x\n" * 100_000)] * 10
    assert file.may_save()
    old, new = file.next_version(), file.next_version()
    file.save(document, new)
    assert not file.may_save()  # until five times as long has passed as that took
    file.save(notebook("older"), old)
    assert nbformat.read(tmp_path / "a.ipynb", as_version=4).cells[0].source == "1"
