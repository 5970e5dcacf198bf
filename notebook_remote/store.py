"""What outlives this process: sessions, the ids of our kernels, and where documents ran last.

One SQLite file for each server process on a directory, locked by SQLite as long as the process
lives, so that two servers on one directory keep out of each other's way. From the files of servers
that are no more, a server takes over what belongs to the gateways that it has, and leaves the rest
for one that has the others. There are no secrets in it.

A gateway is known by a *key*: its URL, or the name of its info file if it is an embedded one.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

BRIEFLY = 0.1  # seconds for somebody who only looks; a living server holds its file for good
# The first is jupyter_server's, whose SQL names no columns; so the times stand beside it.
TABLES = """
CREATE TABLE IF NOT EXISTS session (session_id PRIMARY KEY, path, name, type, kernel_id);
CREATE TABLE IF NOT EXISTS session_time (session_id PRIMARY KEY, created, changed);
CREATE TABLE IF NOT EXISTS kernel
    (kernel_id PRIMARY KEY, name, gateway, kept, started, answered);
CREATE TABLE IF NOT EXISTS document (path PRIMARY KEY, gateway, at);
CREATE TABLE IF NOT EXISTS directory (path PRIMARY KEY);
CREATE TRIGGER IF NOT EXISTS made AFTER INSERT ON session BEGIN
    INSERT OR IGNORE INTO session_time
    VALUES (new.session_id, datetime('now'), datetime('now'));
END;
CREATE TRIGGER IF NOT EXISTS changed AFTER UPDATE ON session BEGIN
    UPDATE session_time SET changed = datetime('now') WHERE session_id = new.session_id;
END;
CREATE TRIGGER IF NOT EXISTS ended AFTER DELETE ON session BEGIN
    DELETE FROM session_time WHERE session_id = old.session_id;
END;
CREATE TRIGGER IF NOT EXISTS used AFTER INSERT ON document BEGIN
    DELETE FROM document WHERE path NOT IN
    (SELECT path FROM document ORDER BY at DESC, rowid DESC LIMIT 1000);
END;
"""
# What moves from the file of an earlier server; a crash in between leaves it in both.
TAKE_OVER = (
    (
        "SELECT session.* FROM session JOIN kernel USING (kernel_id) WHERE gateway = ?",
        "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?)",
    ),
    (
        "SELECT session_time.* FROM session_time JOIN session USING (session_id)"
        " JOIN kernel USING (kernel_id) WHERE gateway = ?",
        "INSERT OR REPLACE INTO session_time VALUES (?, ?, ?)",
    ),
    (
        "SELECT * FROM document WHERE gateway = ?",
        "INSERT OR IGNORE INTO document VALUES (?, ?, ?)",
    ),
    (
        "SELECT * FROM kernel WHERE gateway = ?",
        "INSERT OR REPLACE INTO kernel VALUES (?, ?, ?, ?, ?, ?)",
    ),
)


@dataclass(frozen=True)
class StoredKernel:
    """A kernel that is ours on a gateway, as long as that gateway does not say that it is gone."""

    kernel_id: str
    name: str  # of its kernelspec
    gateway: str  # its key
    kept: bool  # whether it is to outlive the server
    started: str  # UTC
    answered: bool  # whether its gateway has said that it is there


class Store:
    """Owned by the server app; the managers write to it. ``connection`` is autocommitting."""

    def __init__(self, folder: Path, root_dir: str, log: logging.Logger) -> None:
        self._prefix = f"sessions-{hashlib.sha256(root_dir.encode()).hexdigest()[:12]}-"
        self._folder = folder
        self._log = log
        self.path = folder / f"{self._prefix}{uuid.uuid4().hex}.sqlite"
        self.connection = self._new()
        self.connection.execute("INSERT INTO directory VALUES (?)", (root_dir,))

    def _new(self) -> sqlite3.Connection:
        """Our own file, or memory where there can be none: better to forget than not to start."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = self._hold(self.path)
        except (OSError, sqlite3.Error):
            connection = None
        if connection is None:
            self._log.warning(
                "Sessions end with this server: no SQLite file can be kept in %s.", self._folder
            )
            connection = sqlite3.connect(":memory:", isolation_level=None)
            connection.executescript(TABLES)
        return connection

    def take_over(self, gateway: str) -> None:
        """Take what servers that are no more had on a gateway; called when it is there."""
        for path, other in self._left():
            for select, insert in TAKE_OVER:
                rows = other.execute(select, (gateway,)).fetchall()
                self.connection.executemany(insert, rows)
            _delete(other, gateway)
            _close(path, other)

    def forget_gateways(self, gone: Callable[[str], bool]) -> None:
        """Drop from the files of earlier servers what was on gateways that are gone for good."""
        for path, other in self._left():
            keys = [key for (key,) in other.execute("SELECT DISTINCT gateway FROM kernel")]
            for key in filter(gone, keys):
                _delete(other, key)
            _close(path, other)

    def kernels(self, gateway: str) -> list[StoredKernel]:
        """Our kernels on a gateway."""
        return [kernel for kernel in _kernels(self.connection) if kernel.gateway == gateway]

    def add_kernel(self, kernel_id: str, name: str, gateway: str) -> None:
        """Note a kernel; called before it is started, so that none is ever lost."""
        self.connection.execute(
            "INSERT INTO kernel VALUES (?, ?, ?, 0, datetime('now'), 0) ON CONFLICT (kernel_id)"
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
            "INSERT OR REPLACE INTO document VALUES (?, ?, julianday('now'))", (path, gateway)
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

    def close(self) -> None:
        """Let go of the file; called when the server stops. What is gone needs no file."""
        gone = "DELETE FROM session WHERE kernel_id NOT IN (SELECT kernel_id FROM kernel)"
        self.connection.execute(gone)
        _close(self.path, self.connection)

    def _left(self) -> Iterator[tuple[Path, sqlite3.Connection]]:
        """The files of servers that are no more, locked by us."""
        for path in sorted(self._folder.glob(f"{self._prefix}*.sqlite")):
            if path != self.path and (connection := self._hold(path)) is not None:
                yield path, connection

    def _hold(self, path: Path) -> sqlite3.Connection | None:
        """Open and lock a file; None if a living server has it, or if it is of no use."""
        connection = sqlite3.connect(path, timeout=BRIEFLY, isolation_level=None)
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(f"BEGIN EXCLUSIVE; {TABLES} COMMIT;")
        except sqlite3.OperationalError:
            connection.close()
            return None
        except sqlite3.DatabaseError as error:
            connection.close()
            self._log.warning("The sessions in %s cannot be read (%s)", path, error)
            path.replace(path.with_suffix(".unreadable"))
            return None
        if not path.exists():  # another server has taken it over and removed it meanwhile
            connection.close()
            return None
        return connection


def left_behind(folder: Path) -> Iterator[tuple[str, StoredKernel]]:
    """The kernels that stopped servers have left, each with its server's directory.

    For people who look while no server runs. Files of living servers cannot be read.
    """
    for path in sorted(folder.glob("sessions-*.sqlite")):
        with contextlib.suppress(sqlite3.Error):
            connection = sqlite3.connect(path, timeout=0)
            with contextlib.closing(connection):
                found = connection.execute("SELECT path FROM directory").fetchone()
                if found is None:  # killed before it was noted
                    continue
                (root_dir,) = found
                for kernel in _kernels(connection):
                    yield root_dir, kernel


def _kernels(connection: sqlite3.Connection) -> list[StoredKernel]:
    columns = "SELECT kernel_id, name, gateway, kept, started, answered FROM kernel"
    return [
        StoredKernel(kernel_id, name, gateway, bool(kept), started, bool(answered))
        for kernel_id, name, gateway, kept, started, answered in connection.execute(columns)
    ]


def _delete(connection: sqlite3.Connection, gateway: str) -> None:
    """Delete what was on a gateway. A session goes with its kernel, or has none to go with."""
    connection.execute("DELETE FROM kernel WHERE gateway = ?", (gateway,))
    connection.execute("DELETE FROM document WHERE gateway = ?", (gateway,))
    connection.execute("DELETE FROM session WHERE kernel_id NOT IN (SELECT kernel_id FROM kernel)")


def _close(path: Path, connection: sqlite3.Connection) -> None:
    """Close a file, and remove it if nothing is left in it."""
    counts = "SELECT (SELECT COUNT(*) FROM kernel) + (SELECT COUNT(*) FROM document)"
    (left,) = connection.execute(counts).fetchone()
    if left:
        connection.close()
        return
    # Before its lock is given up, where the platform allows that.
    with contextlib.suppress(OSError):
        path.unlink()
    connection.close()
    for leftover in (path, path.with_name(f"{path.name}-wal")):
        with contextlib.suppress(OSError):  # there is none, or the file was in memory
            leftover.unlink()
