"""The database of sessions, of our kernels, and of the gateway on which each document ran last.

It is in memory, where the managers read and change it; a thread writes each change to a file, one
for each server process on a directory, so that nobody waits for a full or slow disk. From the files
of stopped servers a server adopts the rows of its own gateways; the other rows stay for a server
with those gateways. It contains no secrets.

A gateway's *key* in it is its name, or its URL if it has no name, or the name of its info file if
it is embedded.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import session_file
from .session_file import (
    TABLES,
    Rows,
    SessionFile,
    Tables,
    Unreadable,
    create,
    insert,
    of_kernels,
    rename_unreadable,
    select,
)
from .session_writer import SessionWriter

# The table session is jupyter_server's, whose SQL names no columns; so times have a table of their
# own.
TRIGGERS = """
CREATE TRIGGER made AFTER INSERT ON session BEGIN
    INSERT OR IGNORE INTO session_time (session_id, created, changed)
    VALUES (new.session_id, datetime('now'), datetime('now'));
END;
CREATE TRIGGER moved AFTER UPDATE ON session BEGIN
    UPDATE session_time SET changed = datetime('now') WHERE session_id = new.session_id;
END;
CREATE TRIGGER ended AFTER DELETE ON session BEGIN
    DELETE FROM session_time WHERE session_id = old.session_id;
END;
CREATE TRIGGER used AFTER INSERT ON document BEGIN
    DELETE FROM document WHERE path NOT IN
    (SELECT path FROM document ORDER BY at DESC, rowid DESC LIMIT 1000);
END;
"""
NOTE_CHANGES = "".join(
    f"CREATE TRIGGER {table}_{action} AFTER {action} ON {table}"
    f" BEGIN SELECT note_change('{table}'); END;"
    for table in TABLES
    for action in ("INSERT", "UPDATE", "DELETE")
)
WRITE_TIMEOUT = 1.0  # seconds to wait for a write to the file; then work continues


@dataclass(frozen=True)
class StoredKernel:
    """A kernel of ours on a gateway; stored until the gateway says that it is gone."""

    kernel_id: str
    name: str  # of its kernelspec
    gateway: str  # key of its gateway
    kept: bool  # whether it outlives the server
    started: str  # UTC
    answered: bool  # whether its gateway has confirmed the start


class SessionStore:
    """Owned by the server app, used by the managers. ``connection`` is in autocommit mode."""

    def __init__(self, folder: Path, root_dir: str, log: logging.Logger) -> None:
        self._prefix = f"sessions-{hashlib.sha256(root_dir.encode()).hexdigest()[:12]}-"
        self._folder = folder
        self._log = log
        self.path = folder / f"{self._prefix}{uuid.uuid4().hex}.sqlite"
        self.closed = False
        self._changed: set[str] = set()  # tables with rows that the writer does not have yet
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.create_function("note_change", 1, self._note_change)
        self.connection.executescript("".join(map(create, TABLES)) + TRIGGERS + NOTE_CHANGES)
        self._adoption_lock = asyncio.Lock()
        self._writer = SessionWriter(self.path, root_dir, log)
        self._writer.start()

    # -- the file ---------------------------------------------------------------------------------

    def _note_change(self, table: str) -> None:
        """Note a changed row; called by SQLite."""
        if not self._changed:
            with contextlib.suppress(RuntimeError):  # no event loop yet
                asyncio.get_running_loop().call_soon(self._pass_changes_to_writer)
        self._changed.add(table)

    def _pass_changes_to_writer(self) -> None:
        """Pass all changed tables to the writer at once."""
        changed, self._changed = self._changed, set()
        if changed:
            self._writer.put({table: self._rows(table) for table in changed})

    async def flush(self) -> bool:
        """Wait until all changes are in the file, for WRITE_TIMEOUT; returns whether they are."""
        self._pass_changes_to_writer()
        return not self._writer.behind or await asyncio.to_thread(self._writer.flush, WRITE_TIMEOUT)

    def close(self) -> None:
        """Close the file, or remove it if it is empty; called when the server stops.

        Rows in memory stay readable, for requests that are still being answered.
        """
        if self.closed:
            return
        self.closed = True
        self.connection.execute(
            "DELETE FROM session WHERE kernel_id NOT IN (SELECT kernel_id FROM kernel)"
        )
        file = self.release()
        if file is not None:
            if self._rows("kernel") or self._rows("document"):
                file.close(disown=True)
            else:
                file.remove()

    def release(self) -> SessionFile | None:
        """Stop writing; returns the file, unless a write is stuck."""
        self._pass_changes_to_writer()
        return self._writer.end(WRITE_TIMEOUT)

    # -- files of stopped servers -----------------------------------------------------------------

    async def adopt(self, gateway: str) -> None:
        """Adopt the kernels and sessions of stopped servers on a gateway; called when it is up.

        Also which gateway each document ran on last, of any gateway. Rows of other gateways stay in
        the files, for a server with those gateways.
        """
        async with self._adoption_lock:
            files = await asyncio.to_thread(lambda: list(self._stopped_servers()))
            for _, rows in files:
                self._adopt_rows(rows, gateway)
            # Removed from there only once written here; a crash in between leaves them in both.
            if files and await self.flush():
                await asyncio.to_thread(self._remove_rows, files, lambda key: key == gateway)
            for file, _ in files:
                file.close()

    async def forget_gateways(self, gone: Callable[[str], bool]) -> None:
        """Remove the rows of gateways that are gone for good from the files of stopped servers."""
        async with self._adoption_lock:
            files = await asyncio.to_thread(lambda: list(self._stopped_servers()))
            await asyncio.to_thread(self._remove_rows, files, gone, keep_documents=True)

    def is_used_elsewhere(self) -> bool:
        """Whether servers on other computers seem to use this directory, or did until recently."""
        return any(
            path != self.path and session_file.is_used_elsewhere(path)
            for path in self._folder.glob(f"{self._prefix}*.sqlite")
        )

    def _stopped_servers(self) -> Iterator[tuple[SessionFile, Tables]]:
        """The files of stopped servers, locked by us, with their rows."""
        for path in sorted(self._folder.glob(f"{self._prefix}*.sqlite")):
            if path == self.path:
                continue
            file = None
            try:
                file = SessionFile.open_stopped(path)
                if file is not None:
                    yield file, file.read()
            except Unreadable as error:
                if file is not None:
                    file.close()
                rename_unreadable(path, error, self._log)

    def _adopt_rows(self, rows: Tables, gateway: str) -> None:
        kernels = [row for row in rows["kernel"] if row[2] == gateway]
        sessions = of_kernels(rows["session"], kernels)
        ids = {row[0] for row in sessions}
        times = [row for row in rows["session_time"] if row[0] in ids]
        self.connection.executemany(insert("session", "REPLACE"), sessions)
        self.connection.executemany(insert("session_time", "REPLACE"), times)
        self.connection.executemany(insert("document", "IGNORE"), rows["document"])
        self.connection.executemany(insert("kernel", "REPLACE"), kernels)

    def _remove_rows(
        self,
        files: list[tuple[SessionFile, Tables]],
        is_removed: Callable[[str], bool],
        keep_documents: bool = False,
    ) -> None:
        """Close files after removing the rows of some gateways, by their keys."""
        for file, rows in files:
            kernels = [row for row in rows["kernel"] if not is_removed(row[2])]
            try:
                file.close_with(rows, kernels, rows["document"] if keep_documents else [])
            except sqlite3.Error as error:
                self._log.warning(
                    "The sessions of an earlier server in %s cannot be changed: %s",
                    file.path,
                    error,
                )

    # -- for the managers -------------------------------------------------------------------------

    def kernels(self, gateway: str) -> list[StoredKernel]:
        """Our kernels on a gateway."""
        return [
            kernel for kernel in map(_kernel, self._rows("kernel")) if kernel.gateway == gateway
        ]

    def has_kernel(self, kernel_id: str) -> bool:
        """Whether a kernel is ours, on any gateway, even one that was removed."""
        query = "SELECT 1 FROM kernel WHERE kernel_id = ?"
        return self.connection.execute(query, (kernel_id,)).fetchone() is not None

    def add_kernel(self, kernel_id: str, name: str, gateway: str) -> None:
        """Store a kernel; called before its start, so that none is lost in a crash."""
        self.connection.execute(
            "INSERT INTO kernel (kernel_id, name, gateway, kept, started, answered)"
            " VALUES (?, ?, ?, 0, datetime('now'), 0) ON CONFLICT (kernel_id)"
            " DO UPDATE SET name = excluded.name, gateway = excluded.gateway",
            (kernel_id, name, gateway),
        )

    def confirm_kernel(self, kernel_id: str) -> None:
        """Note that the gateway has confirmed a kernel's start."""
        self.connection.execute("UPDATE kernel SET answered = 1 WHERE kernel_id = ?", (kernel_id,))

    def keep_kernel(self, kernel_id: str, kept: bool) -> None:
        """Set whether a kernel outlives the server."""
        self.connection.execute(
            "UPDATE kernel SET kept = ? WHERE kernel_id = ?", (int(kept), kernel_id)
        )

    def drop_kernel(self, kernel_id: str) -> None:
        """Delete a kernel that is gone, or did not start."""
        self.connection.execute("DELETE FROM kernel WHERE kernel_id = ?", (kernel_id,))

    def note_use(self, path: str, gateway: str) -> None:
        """Note that a document runs on a gateway."""
        self.connection.execute(
            "INSERT OR REPLACE INTO document (path, gateway, at) VALUES (?, ?, julianday('now'))",
            (path, gateway),
        )

    def last_gateway(self, path: str) -> str | None:
        """The key of the gateway on which a document ran last."""
        found = self.connection.execute("SELECT gateway FROM document WHERE path = ?", (path,))
        row = found.fetchone()
        return str(row[0]) if row is not None else None

    def rename_document(self, old: str, new: str) -> None:
        """Note that a document, or a folder of documents, was renamed."""
        self.connection.execute(
            "UPDATE OR REPLACE document SET path = ? || substr(path, ?)"
            " WHERE path = ? OR substr(path, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )

    def _rows(self, table: str) -> Rows:
        return [tuple(row) for row in self.connection.execute(select(table))]


def orphaned_kernels(folder: Path) -> Iterator[tuple[str, StoredKernel]]:
    """The kernels of stopped servers, each with its server's directory.

    For a command while no server runs; files of running servers cannot be read.
    """
    for path in sorted(folder.glob("sessions-*.sqlite")):
        found = session_file.orphaned_kernels(path)
        if found is not None:
            root_dir, rows = found
            for kernel in map(_kernel, rows):
                yield root_dir, kernel


def _kernel(row: tuple[str, ...]) -> StoredKernel:
    kernel_id, name, gateway, kept, started, answered = row
    return StoredKernel(kernel_id, name, gateway, bool(kept), started, bool(answered))
