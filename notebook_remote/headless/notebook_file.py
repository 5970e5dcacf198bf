"""The notebook file of a run: read with checks, and saved atomically."""

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

SAVE_INTERVAL = 20.0  # seconds after which new output is saved, in a long cell too
PAUSE_FACTOR = 5  # times the duration of the last save must pass before the next one


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook in the newest format, and check the parts that a run uses.

    Raises OSError, and ValueError with a sentence about what is wrong with it.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
    except (OSError, ValueError):  # with good messages: no file, no JSON, unknown version
        raise
    except RecursionError:
        raise ValueError("It is nested too deeply to be a notebook.") from None
    except Exception as error:  # nbformat fails in many ways for a file that is no notebook
        raw = json.loads(path.read_text("utf-8"))
        what = " ".join(f"{type(error).__name__}: {error}".split())
        fault = _describe_raw_fault(raw) or f"nbformat cannot read it ({what})."
        raise ValueError(fault) from error
    fault = _describe_fault(notebook)
    if fault:
        raise ValueError(fault)
    _repair(notebook)
    return notebook


def _describe_raw_fault(raw: Any) -> str:
    """What is wrong with a file that nbformat cannot read, as a sentence; empty if unknown."""
    if not isinstance(raw, dict):
        return f"It is no notebook: what it holds is {_json_type(raw)}, not an object."
    if "nbformat" not in raw:
        return "It is no notebook: it does not say its format (nbformat)."
    return _describe_fault(raw) if raw["nbformat"] == 4 else ""


def _describe_fault(notebook: dict[str, Any]) -> str:
    """What a notebook of format 4 lacks for a run, as a sentence; empty if nothing."""
    if not isinstance(notebook.get("metadata"), dict):
        return f"Its metadata is {_json_type(notebook.get('metadata'))}, not an object."
    if not isinstance(notebook.get("cells"), list):
        return f"Its list of cells is {_json_type(notebook.get('cells'))}, not a list."
    for number, cell in enumerate(notebook["cells"], start=1):
        if not isinstance(cell, dict):
            return f"Its cell {number} is {_json_type(cell)}, not an object."
        if not isinstance(cell.get("cell_type"), str):
            return f"Its cell {number} does not say its type (cell_type)."
        if not isinstance(cell.get("metadata"), dict):
            found = _json_type(cell.get("metadata"))
            return f"The metadata of its cell {number} is {found}, not an object."
        source = cell.get("source")
        if not isinstance(source, str | list):
            return f"The source of its cell {number} is {_json_type(source)}, not text."
        if not all(isinstance(line, str) for line in source):
            return f"A line in the source of its cell {number} is not text."
        if not isinstance(cell.get("outputs", []), list):
            return f"The output of its cell {number} is {_json_type(cell['outputs'])}, not a list."
    return ""


def _json_type(value: Any) -> str:
    """The JSON type of a value, for people; None also stands for a missing value."""
    names = {type(None): "missing or null", bool: "true or false", str: "text", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")


def _repair(notebook: NotebookNode) -> None:
    """Remove metadata that a run uses and that has a wrong type."""
    if not isinstance(notebook.metadata.get("kernelspec", {}), dict):
        del notebook.metadata["kernelspec"]
    for cell in notebook.cells:
        if not isinstance(cell.metadata.get("tags", []), list):
            del cell.metadata["tags"]


class NotebookFile:
    """The file to which a run saves. Its methods may be called in any thread."""

    def __init__(self, path: Path) -> None:
        """Raises OSError if ``path`` cannot be written to: before the run, not at its end."""
        self.path = path
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "There is no folder", str(path.parent))
        try:
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            what = f"Nothing can be written there ({error.strerror})"
            raise OSError(error.errno, what, str(path.parent)) from None
        self._lock = threading.Lock()
        self._versions = itertools.count(1)
        self._written = 0  # the version that is on disk
        self._saved_at, self._save_duration = time.monotonic(), 0.0

    def next_version(self) -> int:
        """A version for a state of the notebook; an older one never replaces a newer one."""
        return next(self._versions)

    def may_save(self) -> bool:
        """Whether saving again now costs only a small part of the run's time."""
        return time.monotonic() >= self._saved_at + PAUSE_FACTOR * self._save_duration

    def due_in(self) -> float:
        """Seconds until a change should be saved, even within a cell."""
        pause = max(SAVE_INTERVAL, PAUSE_FACTOR * self._save_duration)
        return max(0.0, self._saved_at + pause - time.monotonic())

    def save(self, notebook: NotebookNode, version: int) -> None:
        """Save the notebook atomically, unless a newer version was saved. Raises OSError."""
        with self._lock:
            if version < self._written:
                return
            began = time.monotonic()
            try:
                self._write(notebook)
                self._written = version
            finally:
                self._saved_at = time.monotonic()
                self._save_duration = self._saved_at - began

    def _write(self, notebook: NotebookNode) -> None:
        # jupyter_server's atomic_writing writes into the file itself: a process that is killed
        # meanwhile leaves half a file.
        target = Path(os.path.realpath(self.path))  # the target of a symbolic link, which stays one
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
    """Sign a notebook, so that pages trust its output: all of it is of code that this user ran.

    Raises any error of the notary.
    """
    notary = NotebookNotary(config=config)
    try:
        notary.sign(notebook)
    finally:
        notary.store.close()


def _mode(path: Path) -> int:
    """The permissions of a file, or those of a new one."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
