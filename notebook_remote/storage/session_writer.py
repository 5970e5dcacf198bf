"""A thread that brings what the server knows of its sessions into their file."""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path

from .session_file import BEAT, SessionFile, Tables

RETRY = 5.0  # seconds until the next attempt to write, after one that failed


class SessionWriter(threading.Thread):
    """Brings what is in memory into the file: the rows of tables in which something has changed.

    While that fails it tries again now and then, and says so once.
    """

    def __init__(self, path: Path, root_dir: str, log: logging.Logger) -> None:
        super().__init__(name="session file", daemon=True)
        self._path = path
        self._root_dir = root_dir
        self._log = log
        self._file: SessionFile | None = None
        self._turn = threading.Condition()
        self._pending: Tables = {}
        self._wanted = 1  # counts what is put in; the first is the file itself
        self._tried = self._written = 0  # up to which of them
        self._ending = False
        self._alive = False  # whether there are kernels, so that the file has to look alive

    def put(self, tables: Tables) -> None:
        """Bring these rows into the file soon, instead of those it has."""
        with self._turn:
            self._pending |= tables
            self._wanted += 1
            self._turn.notify_all()

    @property
    def behind(self) -> bool:
        """Whether something is not in the file yet."""
        return self._written < self._wanted

    def flush(self, limit: float) -> bool:
        """Wait until everything so far is in the file. Returns whether it is."""
        with self._turn:
            wanted = self._wanted
            self._turn.wait_for(lambda: self._tried >= wanted, limit)
            return self._written >= wanted

    def end(self, limit: float) -> SessionFile | None:
        """Write what is left and end; returns the file, for who lets go of it."""
        with self._turn:
            self._ending = True
            self._turn.notify_all()
        self.join(limit)
        return None if self.is_alive() else self._file

    def run(self) -> None:
        """Write, until the end."""
        while True:
            with self._turn:
                failing = self._written < self._tried
                self._turn.wait_for(
                    lambda: self._ending or self._wanted > self._tried, RETRY if failing else BEAT
                )
                ending, wanted = self._ending, self._wanted
                tables, self._pending = self._pending, {}
            error = self._write(tables)
            with self._turn:
                if error is None:
                    self._written = wanted
                else:
                    self._pending = tables | self._pending
                self._tried = wanted
                self._turn.notify_all()
            self._tell(error, failing)
            if ending:
                return

    def _write(self, tables: Tables) -> Exception | None:
        try:
            if self._file is None:
                self._file = SessionFile.create(self._path, self._root_dir)
            if tables:
                self._file.write(tables)
                self._alive = bool(tables.get("kernel", self._alive))
            elif self._alive:
                self._file.beat()
        except (OSError, sqlite3.Error) as error:
            return error
        return None

    def _tell(self, error: Exception | None, failing: bool) -> None:
        if error is not None and not failing:
            self._log.warning(
                "If this server is killed now its notebooks lose their kernels, since %s cannot be"
                " written (%s). Everything else goes on; make room there, or make it writable.",
                self._path.parent,
                error,
            )
        elif error is None and failing:
            self._log.info("Sessions are kept in %s again.", self._path.parent)
