"""The file of a run's notebook: read, or refused in a sentence, and saved whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.sign import NotebookNotary
from traitlets.config import Config

SAVE_INTERVAL = 20.0  # seconds after which output that has come is saved, in a long cell too
PAUSE_FACTOR = 5  # so many times as long as the last save took, nothing is saved


def read_notebook(path: Path) -> NotebookNode:
    """The notebook in a file, in the newest format, with all that a run reads of it.

    Raises OSError, and ValueError with a sentence about what is wrong with it.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError):  # whose words are good: no file, no JSON, no version we know
        raise
    except RecursionError:
        raise ValueError("It is nested too deeply to be a notebook.") from None
    except Exception as error:  # nbformat stumbles in many ways over what is no notebook
        raw = json.loads(path.read_text("utf-8"))
        what = " ".join(f"{type(error).__name__}: {error}".split())
        fault = _fault_of_raw(raw) or f"nbformat cannot read it ({what})."
        raise ValueError(fault) from error
    fault = _fault(notebook)
    if fault:
        raise ValueError(fault)
    _repair(notebook)
    return notebook


def _fault_of_raw(raw: Any) -> str:
    """What a file that nbformat cannot read lacks, as far as we know its format."""
    if not isinstance(raw, dict):
        return f"It is no notebook: what it holds is {_kind(raw)}, not an object."
    if "nbformat" not in raw:
        return "It is no notebook: it does not say its format (nbformat)."
    return _fault(raw) if raw["nbformat"] == 4 else ""


def _fault(notebook: dict[str, Any]) -> str:
    """What a notebook of format 4 lacks that a run needs, as a sentence, or nothing."""
    if not isinstance(notebook.get("metadata"), dict):
        return f"Its metadata is {_kind(notebook.get('metadata'))}, not an object."
    if not isinstance(notebook.get("cells"), list):
        return f"Its list of cells is {_kind(notebook.get('cells'))}, not a list."
    for number, cell in enumerate(notebook["cells"], start=1):
        if not isinstance(cell, dict):
            return f"Its cell {number} is {_kind(cell)}, not an object."
        if not isinstance(cell.get("cell_type"), str):
            return f"Its cell {number} does not say its type (cell_type)."
        if not isinstance(cell.get("metadata"), dict):
            found = _kind(cell.get("metadata"))
            return f"The metadata of its cell {number} is {found}, not an object."
        source = cell.get("source")
        if not isinstance(source, str | list):
            return f"The source of its cell {number} is {_kind(source)}, not text."
        if not all(isinstance(line, str) for line in source):
            return f"A line in the source of its cell {number} is not text."
        if not isinstance(cell.get("outputs", []), list):
            return f"The output of its cell {number} is {_kind(cell['outputs'])}, not a list."
    return ""


def _kind(value: Any) -> str:
    """What a value of JSON is; None also stands for one that is not there."""
    names = {type(None): "missing or null", bool: "true or false", str: "text", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")


def _repair(notebook: NotebookNode) -> None:
    """Leave out metadata that a run reads, and that is not what it should be."""
    if not isinstance(notebook.metadata.get("kernelspec", {}), dict):
        del notebook.metadata["kernelspec"]
    for cell in notebook.cells:
        if not isinstance(cell.metadata.get("tags", []), list):
            del cell.metadata["tags"]


class NotebookFile:
    """Owned by a run. Its methods may be called in any thread."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if ``path`` cannot be written to, which would be late to learn later."""
        self.path = path
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "There is no folder", str(path.parent))
        try:
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            what = f"Nothing can be written there ({error.strerror})"
            raise OSError(error.errno, what, str(path.parent)) from None
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._written = 0  # the number of the state that is on disk
        self._saved_at, self._took = time.monotonic(), 0.0

    def number(self) -> int:
        """A number for a state of the notebook; an older state never replaces a newer one."""
        return next(self._numbers)

    def may_save(self) -> bool:
        """Whether saving again now is a small part of the time that a run takes."""
        return time.monotonic() >= self._saved_at + PAUSE_FACTOR * self._took

    def due_in(self) -> float:
        """Seconds until a change should be saved, even within a cell."""
        pause = max(SAVE_INTERVAL, PAUSE_FACTOR * self._took)
        return max(0.0, self._saved_at + pause - time.monotonic())

    def save(self, notebook: NotebookNode, number: int) -> None:
        """Write all of the notebook or nothing, whatever happens meanwhile. Raises OSError."""
        with self._lock:
            if number < self._written:
                return
            began = time.monotonic()
            try:
                self._write(notebook)
                self._written = number
            finally:
                self._saved_at = time.monotonic()
                self._took = self._saved_at - began

    def _write(self, notebook: NotebookNode) -> None:
        # jupyter_server's atomic_writing writes into the file itself: killed, it leaves half of it.
        target = Path(os.path.realpath(self.path))  # a link stays one
        with contextlib.ExitStack() as undo:
            handle, new = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            undo.callback(os.unlink, new)
            with open(handle, "w", encoding="utf-8") as file:
                nbformat.write(notebook, file)
                file.flush()
                os.fsync(handle)
            os.chmod(new, _mode(target))
            os.replace(new, target)
            undo.pop_all()


def sign(notebook: NotebookNode, config: Config) -> None:
    """Let pages trust its output, as they do after their user has run all cells there.

    That is what has happened here: all output is of code that this user has had run. Raises
    whatever goes wrong.
    """
    notary = NotebookNotary(config=config)
    try:
        notary.sign(notebook)
    finally:
        notary.store.close()


def _mode(path: Path) -> int:
    """The permissions of a file, or those that a new one gets."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
