"""What outlives this process: the sessions, and the ids of the kernels that are ours on a gateway.

One SQLite file for each server process, locked by SQLite as long as the process lives, so that two
servers on one directory keep out of each other's way. A server that starts takes over the files of
those that are no more: of the same directory and gateway, and of nothing else. There are no secrets
in it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sqlite3
import uuid
from pathlib import Path

TABLES = """
CREATE TABLE IF NOT EXISTS session (session_id, path, name, type, kernel_id);
CREATE TABLE IF NOT EXISTS kernel (kernel_id PRIMARY KEY, name);
"""  # the first is jupyter_server's, whose SQL names no columns


class Store:
    """Owned by the server app; the managers write to it. ``connection`` is autocommitting."""

    def __init__(self, folder: Path, root_dir: str, gateway_url: str, log: logging.Logger) -> None:
        key = hashlib.sha256(f"{root_dir}\0{gateway_url}".encode()).hexdigest()[:12]
        self._log = log
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        left = sorted(folder.glob(f"sessions-{key}-*.sqlite"))
        new = folder / f"sessions-{key}-{uuid.uuid4().hex}.sqlite"
        held = [(path, found) for path in (*left, new) if (found := self._hold(path)) is not None]
        (self.path, self.connection), *others = held
        for path, connection in others:
            self._merge(connection)
            _remove(path, connection)

    def kernels(self) -> dict[str, str]:
        """The kernelspec's name of each kernel that is ours, by the kernel's id."""
        return dict(self.connection.execute("SELECT kernel_id, name FROM kernel"))

    def add_kernel(self, kernel_id: str, name: str) -> None:
        """Note a kernel; called before it is started, so that none is ever lost."""
        self.connection.execute("INSERT OR REPLACE INTO kernel VALUES (?, ?)", (kernel_id, name))

    def drop_kernel(self, kernel_id: str) -> None:
        """Forget a kernel that is known to be gone, or not to have started."""
        self.connection.execute("DELETE FROM kernel WHERE kernel_id = ?", (kernel_id,))

    def close(self) -> None:
        """Let go of the file; called when the server stops. What is gone needs no file."""
        gone = "DELETE FROM session WHERE kernel_id NOT IN (SELECT kernel_id FROM kernel)"
        self.connection.execute(gone)
        if self.kernels():
            self.connection.close()
        else:
            _remove(self.path, self.connection)

    def _hold(self, path: Path) -> sqlite3.Connection | None:
        """Open and lock a file; None if a living server has it, or if it is of no use."""
        connection = sqlite3.connect(path, timeout=0, isolation_level=None)
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
        if not path.exists():  # another server has merged and removed it meanwhile
            connection.close()
            return None
        return connection

    def _merge(self, other: sqlite3.Connection) -> None:
        rows = other.execute("SELECT * FROM session").fetchall()
        self.connection.executemany("INSERT INTO session VALUES (?, ?, ?, ?, ?)", rows)
        for kernel_id, name in other.execute("SELECT kernel_id, name FROM kernel"):
            self.add_kernel(kernel_id, name)


def _remove(path: Path, connection: sqlite3.Connection) -> None:
    """Remove a file before its lock is given up, where the platform allows that."""
    with contextlib.suppress(PermissionError):
        path.unlink()
    connection.close()
    for leftover in (path, path.with_name(f"{path.name}-wal")):
        leftover.unlink(missing_ok=True)
