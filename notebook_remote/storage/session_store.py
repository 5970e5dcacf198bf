"""What outlives this process: sessions, the ids of our kernels, and where documents ran last.

It is kept in memory, where the managers read and change it; a thread writes each change to a file,
one for each server process on a directory. So a full or slow disk keeps nobody waiting. From the
files of servers that are no more, a server takes over what belongs to the gateways that it has, and
leaves the rest for one that has the others. There are no secrets in it.

A gateway is known by a *key*: its name, or its URL if it has none, or the name of its info file if
it is an embedded one.
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
    select,
    set_aside,
)
from .session_writer import SessionWriter

# The table session is jupyter_server's, whose SQL names no columns; so the times stand beside it.
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
WRITE_LIMIT = 1.0  # seconds to wait until something is in the file; then the work goes on


@dataclass(frozen=True)
class StoredKernel:
    """A kernel that is ours on a gateway, as long as that gateway does not say that it is gone."""

    kernel_id: str
    name: str  # of its kernelspec
    gateway: str  # its key
    kept: bool  # whether it is to outlive the server
    started: str  # UTC
    answered: bool  # whether its gateway has said that it is there


class SessionStore:
    """Owned by the server app; the managers write to it. ``connection`` is autocommitting."""

    def __init__(self, folder: Path, root_dir: str, log: logging.Logger) -> None:
        self._prefix = f"sessions-{hashlib.sha256(root_dir.encode()).hexdigest()[:12]}-"
        self._folder = folder
        self._log = log
        self.path = folder / f"{self._prefix}{uuid.uuid4().hex}.sqlite"
        self.closed = False
        self._changed: set[str] = set()  # tables whose rows the writer does not have yet
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.create_function("note_change", 1, self._note_change)
        self.connection.executescript("".join(map(create, TABLES)) + TRIGGERS + NOTE_CHANGES)
        self._taking_over = asyncio.Lock()
        self._writer = SessionWriter(self.path, root_dir, log)
        self._writer.start()

    # -- the file ---------------------------------------------------------------------------------

    def _note_change(self, table: str) -> None:
        """Called by SQLite for each row that changes."""
        if not self._changed:
            with contextlib.suppress(RuntimeError):  # no loop runs: at start
                asyncio.get_running_loop().call_soon(self._hand_over)
        self._changed.add(table)

    def _hand_over(self) -> None:
        """Give the writer what has changed, together."""
        changed, self._changed = self._changed, set()
        if changed:
            self._writer.put({table: self._rows(table) for table in changed})

    async def written(self) -> bool:
        """Wait until everything so far is in the file, but not for a disk that is slow or full.

        Returns whether it is.
        """
        self._hand_over()
        return not self._writer.behind or await asyncio.to_thread(self._writer.flush, WRITE_LIMIT)

    def close(self) -> None:
        """Let go of the file; called when the server stops. What is gone needs no file.

        What is in memory can be read after that, for a request that is still being answered.
        """
        if self.closed:
            return
        self.closed = True
        gone = "DELETE FROM session WHERE kernel_id NOT IN (SELECT kernel_id FROM kernel)"
        self.connection.execute(gone)
        file = self.release()
        if file is not None:
            if self._rows("kernel") or self._rows("document"):
                file.close(disown=True)
            else:
                file.remove()

    def release(self) -> SessionFile | None:
        """Write no more; returns the file, if it can be had."""
        self._hand_over()
        return self._writer.end(WRITE_LIMIT)

    # -- what earlier servers have left -----------------------------------------------------------

    async def adopt(self, gateway: str) -> None:
        """Take what servers that are no more had on a gateway; called when it is there.

        And where documents ran last, on any gateway. What is left in the file of such a server is
        for one that has its other gateways.
        """
        async with self._taking_over:
            left = await asyncio.to_thread(lambda: list(self._left()))
            for _, rows in left:
                self._take(rows, gateway)
            # Only then may it go from there; a crash in between leaves it in both.
            if left and await self.written():
                await asyncio.to_thread(self._leave, left, lambda key: key == gateway)
            for file, _ in left:
                file.close()

    async def forget_gateways(self, gone: Callable[[str], bool]) -> None:
        """Drop from the files of earlier servers what was on gateways that are gone for good."""
        async with self._taking_over:
            left = await asyncio.to_thread(lambda: list(self._left()))
            await asyncio.to_thread(self._leave, left, gone, keep_documents=True)

    def lives_elsewhere(self) -> bool:
        """Whether servers on other computers seem to have this directory, or had until lately."""
        return any(
            path != self.path and session_file.is_held_elsewhere(path)
            for path in self._folder.glob(f"{self._prefix}*.sqlite")
        )

    def _left(self) -> Iterator[tuple[SessionFile, Tables]]:
        """The files of servers that are no more, held by us, and what is in them."""
        for path in sorted(self._folder.glob(f"{self._prefix}*.sqlite")):
            if path == self.path:
                continue
            file = None
            try:
                file = SessionFile.hold(path)
                if file is not None:
                    yield file, file.read()
            except Unreadable as error:
                if file is not None:
                    file.close()
                set_aside(path, error, self._log)

    def _take(self, rows: Tables, gateway: str) -> None:
        kernels = [row for row in rows["kernel"] if row[2] == gateway]
        sessions = of_kernels(rows["session"], kernels)
        ids = {row[0] for row in sessions}
        times = [row for row in rows["session_time"] if row[0] in ids]
        self.connection.executemany(insert("session", "REPLACE"), sessions)
        self.connection.executemany(insert("session_time", "REPLACE"), times)
        self.connection.executemany(insert("document", "IGNORE"), rows["document"])
        self.connection.executemany(insert("kernel", "REPLACE"), kernels)

    def _leave(
        self,
        left: list[tuple[SessionFile, Tables]],
        taken: Callable[[str], bool],
        keep_documents: bool = False,
    ) -> None:
        """Let go of files without the kernels on gateways that were taken, or are gone."""
        for file, rows in left:
            kernels = [row for row in rows["kernel"] if not taken(row[2])]
            try:
                file.leave(rows, kernels, rows["document"] if keep_documents else [])
            except sqlite3.Error as error:
                self._log.warning("The file %s stays as it is: %s", file.path, error)

    # -- what the managers note and ask -----------------------------------------------------------

    def kernels(self, gateway: str) -> list[StoredKernel]:
        """Our kernels on a gateway."""
        return [
            kernel for kernel in map(_kernel, self._rows("kernel")) if kernel.gateway == gateway
        ]

    def has_kernel(self, kernel_id: str) -> bool:
        """Whether a kernel is ours, on whichever gateway: one that was removed, it may be."""
        query = "SELECT 1 FROM kernel WHERE kernel_id = ?"
        return self.connection.execute(query, (kernel_id,)).fetchone() is not None

    def add_kernel(self, kernel_id: str, name: str, gateway: str) -> None:
        """Note a kernel; called before it is started, so that none is ever lost."""
        self.connection.execute(
            "INSERT INTO kernel (kernel_id, name, gateway, kept, started, answered)"
            " VALUES (?, ?, ?, 0, datetime('now'), 0) ON CONFLICT (kernel_id)"
            " DO UPDATE SET name = excluded.name, gateway = excluded.gateway",
            (kernel_id, name, gateway),
        )

    def confirm_kernel(self, kernel_id: str) -> None:
        """Note that its gateway has it."""
        self.connection.execute("UPDATE kernel SET answered = 1 WHERE kernel_id = ?", (kernel_id,))

    def keep_kernel(self, kernel_id: str, kept: bool) -> None:
        """Note whether a kernel is to outlive the server."""
        self.connection.execute(
            "UPDATE kernel SET kept = ? WHERE kernel_id = ?", (int(kept), kernel_id)
        )

    def drop_kernel(self, kernel_id: str) -> None:
        """Forget a kernel that is known to be gone, or not to have started."""
        self.connection.execute("DELETE FROM kernel WHERE kernel_id = ?", (kernel_id,))

    def used(self, path: str, gateway: str) -> None:
        """Note on which gateway a document ran last."""
        self.connection.execute(
            "INSERT OR REPLACE INTO document (path, gateway, at) VALUES (?, ?, julianday('now'))",
            (path, gateway),
        )

    def last_used(self, path: str) -> str | None:
        """The key of that gateway."""
        found = self.connection.execute("SELECT gateway FROM document WHERE path = ?", (path,))
        row = found.fetchone()
        return str(row[0]) if row is not None else None

    def moved(self, old: str, new: str) -> None:
        """A document, or a folder of them, was renamed."""
        self.connection.execute(
            "UPDATE OR REPLACE document SET path = ? || substr(path, ?)"
            " WHERE path = ? OR substr(path, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )

    def _rows(self, table: str) -> Rows:
        return [tuple(row) for row in self.connection.execute(select(table))]


def orphaned_kernels(folder: Path) -> Iterator[tuple[str, StoredKernel]]:
    """The kernels that stopped servers have left, each with its server's directory.

    For people who look while no server runs. Files of living servers cannot be read.
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
