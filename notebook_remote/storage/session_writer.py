"""The thread that writes changes of the session store to its file."""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path

from .session_file import HEARTBEAT_INTERVAL, SessionFile, Tables

RETRY_INTERVAL = 5.0  # seconds between two attempts while writing fails


class SessionWriter(threading.Thread):
    """Writes the rows of changed tables to the file.

    While that fails it tries again every few seconds, and logs one warning.
    """

    def __init__(self, path: Path, root_dir: str, log: logging.Logger) -> None:
        super().__init__(name="session file", daemon=True)
        self._path = path
        self._root_dir = root_dir
        self._log = log
        self._file: SessionFile | None = None
        self._condition = threading.Condition()
        self._pending: Tables = {}
        self._requested = 1  # number of changes; the first is the creation of the file
        self._tried = self._written = 0  # number of these changes
        self._ending = False
        self._has_kernels = False  # whether heartbeats are needed

    def put(self, tables: Tables) -> None:
        """Replace the rows of these tables in the file soon."""
        with self._condition:
            self._pending |= tables
            self._requested += 1
            self._condition.notify_all()

    @property
    def behind(self) -> bool:
        """Whether there are changes that are not in the file yet."""
        return self._written < self._requested

    def flush(self, timeout: float) -> bool:
        """Wait until all changes so far are in the file; returns whether they are."""
        with self._condition:
            requested = self._requested
            self._condition.wait_for(lambda: self._tried >= requested, timeout)
            return self._written >= requested

    def end(self, timeout: float) -> SessionFile | None:
        """Write pending changes and end the thread; returns the file, which the caller closes."""
        with self._condition:
            self._ending = True
            self._condition.notify_all()
        self.join(timeout)
        return None if self.is_alive() else self._file

    def run(self) -> None:
        """Write changes until ``end`` is called."""
        while True:
            with self._condition:
                failing = self._written < self._tried
                self._condition.wait_for(
                    lambda: self._ending or self._requested > self._tried,
                    RETRY_INTERVAL if failing else HEARTBEAT_INTERVAL,
                )
                ending, requested = self._ending, self._requested
                tables, self._pending = self._pending, {}
            error = self._write(tables)
            with self._condition:
                if error is None:
                    self._written = requested
                else:
                    self._pending = tables | self._pending
                self._tried = requested
                self._condition.notify_all()
            self._log_change(error, failing)
            if ending:
                return

    def _write(self, tables: Tables) -> Exception | None:
        try:
            if self._file is None:
                self._file = SessionFile.create(self._path, self._root_dir)
            if tables:
                self._file.write(tables)
                self._has_kernels = bool(tables.get("kernel", self._has_kernels))
            elif self._has_kernels:
                self._file.heartbeat()
        except (OSError, sqlite3.Error) as error:
            return error
        return None

    def _log_change(self, error: Exception | None, failing: bool) -> None:
        if error is not None and not failing:
            self._log.warning(
                "If this server is killed now its notebooks lose their kernels, since %s cannot be"
                " written (%s). Everything else goes on; make room there, or make it writable.",
                self._path.parent,
                error,
            )
        elif error is None and failing:
            self._log.info("Sessions are kept in %s again.", self._path.parent)
