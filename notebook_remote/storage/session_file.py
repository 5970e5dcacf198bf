"""A file of sessions: an SQLite database of one server process, which later servers can read.

SQLite locks it while its server runs. On some cluster file systems locks are invisible to other
computers, so the file also names its computer, and the server updates the time of modification.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..net.host import this_computer

Rows = list[tuple[Any, ...]]
Tables = dict[str, Rows]  # by the table's name
VERSION = 2  # of this schema
TABLES: Mapping[str, tuple[str, ...]] = {  # the first column is the key
    "session": ("session_id", "path", "name", "type", "kernel_id"),
    "session_time": ("session_id", "created", "changed"),
    "kernel": ("kernel_id", "name", "gateway", "kept", "started", "answered"),
    "document": ("path", "gateway", "at"),
}
OWN_TABLES: Mapping[str, tuple[str, ...]] = {
    "directory": ("path",),
    "owner": ("host", "boot"),  # no row when the server has stopped
}
EVERY_TABLE = {**TABLES, **OWN_TABLES}
LOCK_TIMEOUT = 0.1  # seconds; readers hold a lock shorter, and a running server for good
HEARTBEAT_INTERVAL = 15.0  # seconds
HEARTBEAT_TIMEOUT = 120.0  # seconds after which a server on another computer counts as dead
READ_ATTEMPTS = 3  # for a file that is being written


class Unreadable(Exception):
    """A file that is damaged, or from another version."""


class SessionFile:
    """A file that this process has locked. Usable in any thread, by one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path, root_dir: str) -> SessionFile:
        """Create the file of a server. Raises OSError, sqlite3.Error."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        connection = _locked(path)
        try:
            definitions = "".join(map(create, EVERY_TABLE))
            connection.executescript(
                f"BEGIN; {definitions} PRAGMA user_version = {VERSION}; COMMIT;"
            )
            file = cls(path, connection)
            file.write({"directory": [(root_dir,)], "owner": [this_computer()]})
        except BaseException:
            connection.close()
            with contextlib.suppress(OSError):
                path.unlink()
            raise
        return file

    @classmethod
    def open_stopped(cls, path: Path) -> SessionFile | None:
        """Open and lock the file of a server that has stopped; None if it is running.

        Raises Unreadable.
        """
        if _is_being_created(path) or is_used_elsewhere(path):
            return None
        try:
            connection = _locked(path)
        except sqlite3.OperationalError:
            return None  # its server is running, or it is not writable
        except sqlite3.DatabaseError as error:
            raise Unreadable(str(error)) from None
        if not path.exists():  # another server adopted and removed it meanwhile
            connection.close()
            return None
        file = cls(path, connection)
        try:
            file._check()
        except Unreadable:
            connection.close()
            raise
        return file

    def _check(self) -> None:
        try:
            ((version,),) = self._connection.execute("PRAGMA user_version").fetchall()
            if version != VERSION:
                raise Unreadable(f"it is of version {version} and not {VERSION}")
            for table, columns in EVERY_TABLE.items():
                found = self._connection.execute(f"PRAGMA table_info({table})").fetchall()
                if tuple(row[1] for row in found) != columns:
                    raise Unreadable(f"its table {table} has other columns")
        except sqlite3.Error as error:
            raise Unreadable(str(error)) from None

    def read(self) -> Tables:
        """The rows of all tables. Raises Unreadable."""
        try:
            return {table: _rows(self._connection, table) for table in TABLES}
        except sqlite3.Error as error:
            raise Unreadable(str(error)) from None

    def write(self, tables: Mapping[str, Iterable[tuple[Any, ...]]]) -> None:
        """Replace the rows of these tables, all or nothing. Raises sqlite3.Error."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for table, rows in tables.items():
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
                self._connection.executemany(insert(table), rows)
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back itself
                self._connection.execute("ROLLBACK")
            raise

    def heartbeat(self) -> None:
        """Update the time of modification: the server is running. Raises OSError."""
        os.utime(self.path)

    def close(self, disown: bool = False) -> None:
        """Close the file. ``disown`` removes the owner, so that others need not wait."""
        if disown:
            with contextlib.suppress(sqlite3.Error):
                self.write({"owner": []})
        self._connection.close()

    def close_with(self, before: Tables, kernels: Rows, documents: Rows) -> None:
        """Close the file of an earlier server, after removing all but these rows.

        ``before`` are the rows that it has. Sessions stay with their kernels. Raises sqlite3.Error.
        """
        if not kernels and not documents:
            self.remove()
            return
        sessions = of_kernels(before["session"], kernels)
        try:
            if (kernels, documents) != (before["kernel"], before["document"]):
                self.write({"session": sessions, "kernel": kernels, "document": documents})
        finally:
            self.close(disown=True)

    def remove(self) -> None:
        """Close and delete it."""
        # While it is locked, where the platform allows that.
        with contextlib.suppress(OSError):
            self.path.unlink()
        self._connection.close()
        for leftover in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            with contextlib.suppress(OSError):  # it does not exist
                leftover.unlink()


def create(table: str) -> str:
    """The SQL that creates a table."""
    key, *others = EVERY_TABLE[table]
    return f"CREATE TABLE {table} ({', '.join([f'{key} PRIMARY KEY', *others])});"


def select(table: str) -> str:
    """The SQL that reads a table, in the order of its columns."""
    return f"SELECT {', '.join(EVERY_TABLE[table])} FROM {table}"  # noqa: S608 - names of ours


def insert(table: str, on_conflict: str = "ABORT") -> str:
    """The SQL that inserts a row; ``on_conflict`` is for an existing key."""
    columns = EVERY_TABLE[table]
    places = ", ".join("?" * len(columns))
    into = f"INTO {table} ({', '.join(columns)})"
    return f"INSERT OR {on_conflict} {into} VALUES ({places})"  # noqa: S608 - names of ours


def of_kernels(sessions: Rows, kernels: Rows) -> Rows:
    """The sessions that use one of these kernels."""
    ids = {row[0] for row in kernels}
    return [row for row in sessions if row[4] in ids]


def rename_unreadable(path: Path, reason: Exception, log: logging.Logger) -> None:
    """Rename an unreadable file; it is kept for inspection."""
    log.warning(
        "The sessions of an earlier server in %s cannot be used (%s); the file is renamed.",
        path,
        reason,
    )
    try:
        path.replace(path.with_suffix(".unreadable"))
    except OSError as error:
        log.debug("It cannot be renamed: %s", error)


def is_used_elsewhere(path: Path) -> bool:
    """Whether a server on another computer seems to use the file; its lock may be invisible."""
    owner = _owner(path)
    if owner is None or owner[0] == this_computer()[0] or owner[1] == this_computer()[1]:
        return False  # its lock is visible
    try:
        return time.time() - path.stat().st_mtime < HEARTBEAT_TIMEOUT
    except OSError:
        return False


def _is_being_created(path: Path) -> bool:
    """Whether a server has just created it, and will lock it in a moment."""
    try:
        found = path.stat()
    except OSError:
        return True  # it was removed
    return found.st_size == 0 and time.time() - found.st_mtime < HEARTBEAT_TIMEOUT


def _owner(path: Path) -> tuple[str, str] | None:
    """Host and boot id of the server that owns it, read without a lock."""
    for attempt in range(READ_ATTEMPTS):
        if attempt:
            time.sleep(LOCK_TIMEOUT)
        try:
            with _reading(path, "mode=ro&immutable=1") as connection:
                rows = connection.execute("SELECT host, boot FROM owner").fetchall()
            return (str(rows[0][0]), str(rows[0][1])) if rows else None
        except sqlite3.OperationalError:
            return None  # it has no owner
        except sqlite3.Error:
            continue
    return None


@contextlib.contextmanager
def _reading(path: Path, options: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?{options}", uri=True, timeout=0)
    with contextlib.closing(connection):
        yield connection


def orphaned_kernels(path: Path) -> tuple[str, Rows] | None:
    """The directory of a stopped server, and the rows of its kernels; None if it is running."""
    if is_used_elsewhere(path):
        return None
    try:
        with _reading(path, "mode=rw") as connection:
            ((root_dir,),) = _rows(connection, "directory")
            return str(root_dir), _rows(connection, "kernel")
    except (sqlite3.Error, ValueError):
        return None


def _rows(connection: sqlite3.Connection, table: str) -> Rows:
    return [tuple(row) for row in connection.execute(select(table))]


def _locked(path: Path) -> sqlite3.Connection:
    """Open a file and lock it until it is closed. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=LOCK_TIMEOUT, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection
