"""A file of sessions: SQLite, held by one server process, readable by those that come after it.

SQLite locks it for as long as its server lives. Some file systems of clusters do not let one
computer see the locks of another, so the file says which computer that is, and its time of change
is kept recent.
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
VERSION = 2  # of what follows
TABLES: Mapping[str, tuple[str, ...]] = {  # the first column is the key
    "session": ("session_id", "path", "name", "type", "kernel_id"),
    "session_time": ("session_id", "created", "changed"),
    "kernel": ("kernel_id", "name", "gateway", "kept", "started", "answered"),
    "document": ("path", "gateway", "at"),
}
OWN_TABLES: Mapping[str, tuple[str, ...]] = {
    "directory": ("path",),
    "owner": ("host", "boot"),  # none when the server has stopped
}
EVERY_TABLE = {**TABLES, **OWN_TABLES}
BRIEFLY = 0.1  # seconds for somebody who only looks; a living server holds its file for good
BEAT = 15.0  # seconds between two signs of life
ALIVE = 120.0  # seconds that a server on another computer is taken for alive after one
READS = 3  # of who holds a file that may be written at that moment


class Unreadable(Exception):
    """A file that is damaged, or of another version of ours."""


class SessionFile:
    """One that this process holds. It may be used in any thread, by one at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    @classmethod
    def create(cls, path: Path, root_dir: str) -> SessionFile:
        """Make the file of a server. Raises OSError, sqlite3.Error."""
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
    def hold(cls, path: Path) -> SessionFile | None:
        """Take the file of a server that is no more; None if it lives.

        Raises Unreadable for a file that is of no use.
        """
        if _is_being_made(path) or is_held_elsewhere(path):
            return None
        try:
            connection = _locked(path)
        except sqlite3.OperationalError:
            return None  # a living server has it, or it cannot be written
        except sqlite3.DatabaseError as error:
            raise Unreadable(str(error)) from None
        if not path.exists():  # another server has taken it over and removed it meanwhile
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
        """What is in it. Raises Unreadable."""
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
            with contextlib.suppress(sqlite3.Error):  # SQLite has done it already
                self._connection.execute("ROLLBACK")
            raise

    def beat(self) -> None:
        """Show that the server lives. Raises OSError."""
        os.utime(self.path)

    def close(self, disown: bool = False) -> None:
        """Let go of it. ``disown``: the server stops, so others need not wait for signs of life."""
        if disown:
            with contextlib.suppress(sqlite3.Error):
                self.write({"owner": []})
        self._connection.close()

    def leave(self, before: Tables, kernels: Rows, documents: Rows) -> None:
        """Close the file of an earlier server, with no more than this left of what was in it.

        A session goes with its kernel. Raises sqlite3.Error.
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
        # Before its lock is given up, where the platform allows that.
        with contextlib.suppress(OSError):
            self.path.unlink()
        self._connection.close()
        for leftover in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            with contextlib.suppress(OSError):  # it is gone already
                leftover.unlink()


def create(table: str) -> str:
    """The SQL that makes a table."""
    key, *others = EVERY_TABLE[table]
    return f"CREATE TABLE {table} ({', '.join([f'{key} PRIMARY KEY', *others])});"


def select(table: str) -> str:
    """The SQL that reads a table, in the order of its columns."""
    return f"SELECT {', '.join(EVERY_TABLE[table])} FROM {table}"  # noqa: S608 - names of ours


def insert(table: str, otherwise: str = "ABORT") -> str:
    """The SQL that puts a row into a table; ``otherwise`` is for a key that it has."""
    columns = EVERY_TABLE[table]
    places = ", ".join("?" * len(columns))
    into = f"INTO {table} ({', '.join(columns)})"
    return f"INSERT OR {otherwise} {into} VALUES ({places})"  # noqa: S608 - names of ours


def of_kernels(sessions: Rows, kernels: Rows) -> Rows:
    """The sessions that use one of these kernels."""
    ids = {row[0] for row in kernels}
    return [row for row in sessions if row[4] in ids]


def set_aside(path: Path, reason: Exception, log: logging.Logger) -> None:
    """Keep a file that is of no use out of the way, for somebody who wants to know."""
    log.warning(
        "The sessions of an earlier server in %s cannot be used (%s); the file is renamed.",
        path,
        reason,
    )
    try:
        path.replace(path.with_suffix(".unreadable"))
    except OSError as error:
        log.debug("It cannot be renamed: %s", error)


def is_held_elsewhere(path: Path) -> bool:
    """Whether a server on another computer seems to hold it, as far as locks do not tell."""
    owner = _owner(path)
    if owner is None or owner[0] == this_computer()[0] or owner[1] == this_computer()[1]:
        return False  # the lock tells
    try:
        return time.time() - path.stat().st_mtime < ALIVE
    except OSError:
        return False


def _is_being_made(path: Path) -> bool:
    """Whether a server has just made it, and holds it in a moment."""
    try:
        found = path.stat()
    except OSError:
        return True  # it was removed
    return found.st_size == 0 and time.time() - found.st_mtime < ALIVE


def _owner(path: Path) -> tuple[str, str] | None:
    """Which computer's server holds it, read without a lock and without touching the file."""
    for attempt in range(READS):
        if attempt:
            time.sleep(BRIEFLY)
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
    """The directory of a server that has stopped, and the rows of its kernels; None if it lives."""
    if is_held_elsewhere(path):
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
        path, timeout=BRIEFLY, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection
