"""Sessions: which document uses which kernel."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from jupyter_server.services.sessions.sessionmanager import SessionManager
from traitlets import Instance

from .kernels import RemoteMappingKernelManager


class RemoteSessionManager(SessionManager):
    """jupyter_server's sessions over kernels on a gateway, which outlive this process.

    A session goes only when its kernel is known to be gone: ``kernel_culled`` of the base class
    asks our kernel manager, which keeps a kernel until the gateway answers 404 for it.
    """

    database_filepath: str
    kernel_manager = Instance(RemoteMappingKernelManager)

    @property
    def connection(self) -> sqlite3.Connection:
        """The database: that of the backend's store, unless the user has named a file."""
        store = self.kernel_manager.backend.store
        if store is None or self.database_filepath != ":memory:":
            connection: sqlite3.Connection = super().connection
            return connection
        store.connection.row_factory = sqlite3.Row
        return store.connection

    async def delete_session(self, session_id: str) -> None:
        """Delete a session, and shut its kernel down unless another session uses it."""
        session = await self.get_session(session_id=session_id)
        query = "SELECT COUNT(*) FROM session WHERE kernel_id = ?"
        [users] = self.cursor.execute(query, (session["kernel"]["id"],)).fetchone()
        if users > 1:
            self.cursor.execute("DELETE FROM session WHERE session_id = ?", (session_id,))
        else:
            await super().delete_session(session_id)

    async def list_sessions(self) -> list[dict[str, Any]]:
        """All sessions. Raises GatewayError while the gateway cannot be asked about kernels."""
        await self.kernel_manager.refresh()
        sessions: list[dict[str, Any]] = await super().list_sessions()
        return sessions

    async def row_to_model(self, row: Any, tolerate_culled: bool = False) -> dict[str, Any] | None:
        """A session's model, as of the last look at the gateway; called for each row of a list.

        As the base class makes it, without its two calls that might have to be awaited.
        """
        kernel = self.kernel_manager.known_model(row["kernel_id"])
        model: dict[str, Any] | None
        if kernel is None:
            model = await super().row_to_model(row, tolerate_culled)
            return model
        model = {
            "id": row["session_id"],
            "path": row["path"],
            "name": row["name"],
            "type": row["type"],
            "kernel": kernel,
        }
        if row["type"] == "notebook":
            model["notebook"] = {"path": row["path"], "name": row["name"]}
        return model

    def keep_in(self, path: Path) -> None:
        """Keep the sessions in a file, unless the user has named one; before the first is made."""
        if self.database_filepath == ":memory:" and self._connection is None:
            self.database_filepath = str(path)

    def get_kernel_env(self, path: str | None, name: str | None = None) -> dict[str, str]:
        """What a session adds to its kernel's environment: not this server's environment.

        Called for every session's kernel; the kernel manager decides what the gateway gets.
        """
        env: dict[str, str] = super().get_kernel_env(path, name)
        return {"JPY_SESSION_NAME": env["JPY_SESSION_NAME"]}
