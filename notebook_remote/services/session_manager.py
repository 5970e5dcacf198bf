"""Sessions: which document uses which kernel."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from typing import Any
from weakref import WeakValueDictionary

from jupyter_core.utils import ensure_async
from jupyter_server.services.sessions.sessionmanager import SessionManager
from tornado import web
from traitlets import Instance

from ..compat.signals import STOPPING
from ..kernelspec_names import qualify
from ..storage.session_store import SessionStore
from ..types import JsonObject
from .kernel_manager import RoutedKernelManager

TEMPORARY = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def document_of(path: str | None, name: str | None, kind: str | None) -> str | None:
    """The path of a session's document.

    JupyterLab makes a notebook's session under a path that ends with a UUID, and renames it when
    its kernel has been started; the name is that of the document all the time.
    """
    folder, slash, last = (path or "").rpartition("/")
    if kind == "notebook" and name and TEMPORARY.fullmatch(last):
        return f"{folder}{slash}{name}"
    return path


class KernelNotStarted(Exception):
    """The kernel that a session should change to was not started; the cause says why."""


class RemoteSessionManager(SessionManager):
    """jupyter_server's sessions over kernels of all backends, which outlive this process.

    A session goes only when its kernel is known to be gone: ``kernel_culled`` of the base class
    asks our kernel manager, which keeps a kernel until its gateway answers 404 for it.
    """

    database_filepath: str
    kernel_manager = Instance(RoutedKernelManager)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # By the document and what kernel is wanted for it.
        self._creating: dict[tuple[str | None, ...], asyncio.Task[JsonObject]] = {}
        # By the session and what kernel is wanted for it.
        self._changing: dict[tuple[str | None, ...], asyncio.Task[JsonObject]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def store(self) -> SessionStore | None:
        """The server's store."""
        store: SessionStore | None = getattr(self.parent, "store", None)
        return store

    @property
    def cursor(self) -> sqlite3.Cursor:
        """Where the base class asks and changes. Raises 503 when the server is being stopped."""
        if self.store is not None and self.store.closed:
            raise web.HTTPError(503, STOPPING)
        cursor: sqlite3.Cursor = super().cursor
        return cursor

    @property
    def connection(self) -> sqlite3.Connection:
        """The database: that of the store, unless the user has named a file."""
        if self.store is None or self.database_filepath != ":memory:":
            connection: sqlite3.Connection = super().connection
            return connection
        self.store.connection.row_factory = sqlite3.Row
        return self.store.connection

    async def create_session(
        self,
        path: str | None = None,
        name: str | None = None,
        type: str | None = None,
        kernel_name: str | None = None,
        kernel_id: str | None = None,
    ) -> JsonObject:
        """Make the session of a document. Whoever asks for the same meanwhile gets the same.

        Called by the handler when there was none for the path. Raises GatewayError.
        """
        wanted = (document_of(path, name, type), kernel_name, kernel_id)
        task = self._creating.get(wanted)
        if task is None:
            given = {"name": name, "type": type, "kernel_name": kernel_name, "kernel_id": kernel_id}
            task = asyncio.create_task(self._create(path, **given), name=f"session of {path}")
            self._creating[wanted] = task
            task.add_done_callback(lambda done: self._creating.pop(wanted, None))
        model = await asyncio.shield(task)
        await self._written()
        # JupyterLab shuts a session down that has not the path that it asked for.
        told: JsonObject = {**model, "path": path}
        return (
            {**told, "notebook": {"path": path, "name": model["name"]}}
            if "notebook" in model
            else told
        )

    async def _create(self, path: str | None, **given: str | None) -> JsonObject:
        model = await self._found(document_of(path, given["name"], given["type"]), **given)
        if model is None:
            self.kernel_manager.report(given["kernel_id"], given["kernel_name"])
            model = await super().create_session(path=path, **given)
            document = document_of(path, given["name"], given["type"])
            self._used(document, str(given["type"]), str(model["kernel"]["id"]))
        return model

    async def _found(
        self, document: str | None, kernel_name: str | None, kernel_id: str | None, **_: str | None
    ) -> JsonObject | None:
        """The session of a document that another page has just made, with the same kernelspec."""
        if kernel_id is not None and not self.kernel_manager.may_report(kernel_id, kernel_name):
            return None
        for row in self.cursor.execute("SELECT * FROM session").fetchall():
            if document == document_of(row["path"], row["name"], row["type"]):
                model = await self.row_to_model(row, tolerate_culled=True)
                if model is not None and kernel_name in (None, model["kernel"]["name"]):
                    return model
        return None

    async def update_session(self, session_id: str, **kwargs: Any) -> None:
        """Change a session's document or kernel."""
        await super().update_session(session_id, **kwargs)
        query = "SELECT path, name, type, kernel_id FROM session WHERE session_id = ?"
        path, name, kind, kernel_id = self.cursor.execute(query, (session_id,)).fetchone()
        self._used(document_of(path, name, kind), kind, kernel_id)
        await self._written()

    async def _written(self) -> None:
        """What a page is told outlives this process, unless the disk is too slow or full."""
        if self.store is not None:
            await self.store.flush()

    async def change_kernel(
        self,
        session_id: str,
        kernel_id: str | None = None,
        kernel_name: str | None = None,
        **changes: str,
    ) -> JsonObject:
        """Give a session another kernel: one that runs, or a new one of a kernelspec.

        Whoever asks for the same meanwhile gets the same; other changes wait for their turn. So
        no kernel is left without a session. ``changes`` are of the document. Raises
        KernelNotStarted, 404.
        """
        wanted = (session_id, kernel_id, kernel_name)
        task = self._changing.get(wanted)
        if task is None:
            change = self._change_kernel(session_id, kernel_id, kernel_name, changes)
            task = asyncio.create_task(change, name=f"change the kernel of {session_id}")
            self._changing[wanted] = task
            task.add_done_callback(lambda done: self._changing.pop(wanted, None))
        return await asyncio.shield(task)

    async def _change_kernel(
        self,
        session_id: str,
        kernel_id: str | None,
        kernel_name: str | None,
        changes: dict[str, str],
    ) -> JsonObject:
        turn = self._turns.setdefault(session_id, asyncio.Lock())
        async with turn:
            before = await self.get_session(session_id=session_id)
            new = kernel_id
            if new is None:
                document = {key: before[key] for key in ("path", "name", "type")}
                try:
                    new = await self.start_kernel_for_session(
                        session_id, kernel_name=kernel_name, **document
                    )
                except Exception as error:
                    raise KernelNotStarted from error
            try:
                await self.update_session(session_id, kernel_id=new, **changes)
            except web.HTTPError:  # the session was deleted meanwhile
                if kernel_id is None:
                    await self.release_kernel(new)
                raise
            model: JsonObject = await self.get_session(session_id=session_id)
            if new != before["kernel"]["id"]:
                await self.release_kernel(before["kernel"]["id"])
        return model

    async def start_kernel_for_session(
        self,
        session_id: str,
        path: str | None,
        name: str | None,
        type: str | None,
        kernel_name: str | None,
        **kwargs: Any,
    ) -> str:
        """Start a kernel, on the backend that the document ran on last if others have it too."""
        backends = self.kernel_manager.backends
        document = document_of(path, name, type)
        if self.store is not None and document and kernel_name and len(backends) > 1:
            last = backends.of_key(self.store.last_gateway(document))
            if last is not None and kernel_name in last.specs.last_specs:
                kernel_name = qualify(kernel_name, last.name)
        folder = await ensure_async(self.contents_manager.get_kernel_path(path=path))
        return await self.kernel_manager.start_kernel(
            path=folder,
            kernel_name=kernel_name,
            env=self.get_kernel_env(path, name),
            document=document,
            **kwargs,
        )

    def _used(self, path: str | None, type_: str, kernel_id: str) -> None:
        """Remember which backend a document runs on; a console's path is no document."""
        backend = self.kernel_manager.backends.of_kernel(kernel_id)
        if self.store is not None and backend is not None and path and type_ != "console":
            self.store.note_use(path, backend.place)

    async def delete_session(self, session_id: str) -> None:
        """Delete a session, and shut its kernel down unless another session uses it."""
        kernel_id = str((await self.get_session(session_id=session_id))["kernel"]["id"])
        while self._users_of(kernel_id) == 1:
            try:
                await self.kernel_manager.shutdown_kernel(kernel_id)
            except web.HTTPError as error:
                if error.status_code != 404:
                    raise
            now = self._kernel_of(session_id)
            if now in (kernel_id, None):
                break
            kernel_id = str(now)  # another tab has changed it meanwhile
        self.cursor.execute("DELETE FROM session WHERE session_id = ?", (session_id,))

    async def release_kernel(self, kernel_id: str) -> None:
        """Shut down a kernel that a session had, unless another has it.

        Called when a session got another kernel. One whose gateway does not answer stays ours, and
        is listed among those without a session.
        """
        if kernel_id in self.kernel_manager and not self._users_of(kernel_id):
            try:
                await self.kernel_manager.shutdown_kernel(kernel_id)
            except web.HTTPError as error:
                if error.status_code != 404:  # which says that somebody else has shut it down
                    self.log.warning("Kernel %s was not shut down: %s", kernel_id, error)

    def _kernel_of(self, session_id: str) -> str | None:
        """The id of a session's kernel; None without such a session."""
        query = "SELECT kernel_id FROM session WHERE session_id = ?"
        row = self.cursor.execute(query, (session_id,)).fetchone()
        return str(row[0]) if row is not None else None

    def _users_of(self, kernel_id: str) -> int:
        """How many sessions use a kernel."""
        query = "SELECT COUNT(*) FROM session WHERE kernel_id = ?"
        (count,) = self.cursor.execute(query, (kernel_id,)).fetchone()
        return int(count)

    async def list_sessions(self) -> list[JsonObject]:
        """All sessions; the state of a kernel whose gateway cannot be asked is *unknown*."""
        await self.kernel_manager.refresh()
        sessions: list[JsonObject] = await super().list_sessions()
        return sessions

    async def row_to_model(self, row: Any, tolerate_culled: bool = False) -> JsonObject | None:
        """A session's model, as of the last look at the gateway; called for each row of a list.

        As the base class makes it, without its two calls that might have to be awaited.
        """
        kernel = self.kernel_manager.known_model(row["kernel_id"])
        model: JsonObject | None
        if kernel is None and self._is_away(row["kernel_id"]):
            if tolerate_culled:
                return None
            raise KeyError(f"The gateway of the kernel {row['kernel_id']} is not there.")
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

    def _is_away(self, kernel_id: str) -> bool:
        """Whether a kernel is on a gateway that was removed, or is not there yet.

        Its session is not shown meanwhile, and not lost.
        """
        known = self.store is not None and self.store.has_kernel(kernel_id)
        return known and kernel_id not in self.kernel_manager

    def get_kernel_env(self, path: str | None, name: str | None = None) -> dict[str, str]:
        """What a session adds to its kernel's environment: not this server's environment.

        Called for every session's kernel; its kernel manager decides what the kernel gets.
        """
        env: dict[str, str] = super().get_kernel_env(path, name)
        return {"JPY_SESSION_NAME": env["JPY_SESSION_NAME"]}
