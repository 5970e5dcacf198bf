"""The file in which a run saves its notebook: whole or not at all, and not all the time."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import tempfile
import threading
import time
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.sign import NotebookNotary
from traitlets.config import Config

SAVE_INTERVAL = 20.0  # seconds after which output that has come is saved, in a long cell too
PAUSE_FACTOR = 5  # so many times as long as the last save took, nothing is saved


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
