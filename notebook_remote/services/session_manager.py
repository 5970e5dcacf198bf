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

TEMPORARY_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def document_of(path: str | None, name: str | None, kind: str | None) -> str | None:
    """The path of a session's document.

    JupyterLab creates a notebook's session under a path that ends with a UUID, and renames it when
    its kernel has been started; the session's name is that of the document all the time.
    """
    folder, slash, last = (path or "").rpartition("/")
    if kind == "notebook" and name and TEMPORARY_NAME.fullmatch(last):
        return f"{folder}{slash}{name}"
    return path


class KernelNotStarted(Exception):
    """The new kernel of a session could not be started; the cause says why."""


class RemoteSessionManager(SessionManager):
    """jupyter_server's sessions over kernels of all backends, which outlive this process.

    A session is removed only when its kernel is known to be gone: ``kernel_culled`` of the base
    class asks our kernel manager, which keeps a kernel until its gateway answers 404 for it.
    """

    database_filepath: str
    kernel_manager = Instance(RoutedKernelManager)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Requests in flight, by the document and the requested kernel.
        self._creating: dict[tuple[str | None, ...], asyncio.Task[JsonObject]] = {}
        # Requests in flight, by the session and the requested kernel.
        self._changing: dict[tuple[str | None, ...], asyncio.Task[JsonObject]] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def store(self) -> SessionStore | None:
        """The server's store."""
        store: SessionStore | None = getattr(self.parent, "store", None)
        return store

    @property
    def cursor(self) -> sqlite3.Cursor:
        """The database's cursor, for the base class. Raises 503 once the server stops."""
        if self.store is not None and self.store.closed:
            raise web.HTTPError(503, STOPPING)
        cursor: sqlite3.Cursor = super().cursor
        return cursor

    @property
    def connection(self) -> sqlite3.Connection:
        """The database: that of the store, unless the user has configured a file."""
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
        """Create the session of a document, or join a request in flight for the same session.

        Called by the handler when there was none for the path. Raises GatewayError.
        """
        key = (document_of(path, name, type), kernel_name, kernel_id)
        task = self._creating.get(key)
        if task is None:
            options = {
                "name": name,
                "type": type,
                "kernel_name": kernel_name,
                "kernel_id": kernel_id,
            }
            task = asyncio.create_task(self._create(path, **options), name=f"session of {path}")
            self._creating[key] = task
            task.add_done_callback(lambda done: self._creating.pop(key, None))
        model = await asyncio.shield(task)
        await self._wait_until_written()
        # JupyterLab shuts down a session whose path is not the requested one.
        answer: JsonObject = {**model, "path": path}
        if "notebook" in model:
            answer["notebook"] = {"path": path, "name": model["name"]}
        return answer

    async def _create(self, path: str | None, **options: str | None) -> JsonObject:
        model = await self._find_existing(
            document_of(path, options["name"], options["type"]), **options
        )
        if model is None:
            self.kernel_manager.report(options["kernel_id"], options["kernel_name"])
            model = await super().create_session(path=path, **options)
            document = document_of(path, options["name"], options["type"])
            self._note_backend(document, str(options["type"]), str(model["kernel"]["id"]))
        return model

    async def _find_existing(
        self, document: str | None, kernel_name: str | None, kernel_id: str | None, **_: str | None
    ) -> JsonObject | None:
        """The session of a document that another page has just created, with this kernelspec."""
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
        self._note_backend(document_of(path, name, kind), kind, kernel_id)
        await self._wait_until_written()

    async def _wait_until_written(self) -> None:
        """Wait until the store is on disk, unless that is too slow or full; before each answer."""
        if self.store is not None:
            await self.store.flush()

    async def change_kernel(
        self,
        session_id: str,
        kernel_id: str | None = None,
        kernel_name: str | None = None,
        **changes: str,
    ) -> JsonObject:
        """Change a session's kernel to one that runs, or to a new one of a kernelspec.

        Joins a request in flight for the same change; different changes run one after another.
        So no kernel stays without a session. ``changes`` are those of the document. Raises
        KernelNotStarted, 404.
        """
        key = (session_id, kernel_id, kernel_name)
        task = self._changing.get(key)
        if task is None:
            change = self._change_kernel(session_id, kernel_id, kernel_name, changes)
            task = asyncio.create_task(change, name=f"change the kernel of {session_id}")
            self._changing[key] = task
            task.add_done_callback(lambda done: self._changing.pop(key, None))
        return await asyncio.shield(task)

    async def _change_kernel(
        self,
        session_id: str,
        kernel_id: str | None,
        kernel_name: str | None,
        changes: dict[str, str],
    ) -> JsonObject:
        lock = self._locks.setdefault(session_id, asyncio.Lock())
        async with lock:
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
        """Start a kernel; if several backends have it, on that on which the document ran last."""
        backends = self.kernel_manager.backends
        document = document_of(path, name, type)
        if self.store is not None and document and kernel_name and len(backends) > 1:
            last = backends.of_document(self.store.last_gateway(document))
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

    def _note_backend(self, path: str | None, type_: str, kernel_id: str) -> None:
        """Store on which backend a document runs; the path of a console is no document."""
        backend = self.kernel_manager.backends.of_kernel(kernel_id)
        if self.store is not None and backend is not None and path and type_ != "console":
            self.store.note_use(path, backend.document_key)

    async def delete_session(self, session_id: str) -> None:
        """Delete a session, and shut its kernel down unless another session uses it."""
        kernel_id = str((await self.get_session(session_id=session_id))["kernel"]["id"])
        while self._session_count(kernel_id) == 1:
            try:
                await self.kernel_manager.shutdown_kernel(kernel_id)
            except web.HTTPError as error:
                if error.status_code != 404:
                    raise
            current = self._kernel_of(session_id)
            if current in (kernel_id, None):
                break
            kernel_id = str(current)  # another tab has changed it meanwhile
        self.cursor.execute("DELETE FROM session WHERE session_id = ?", (session_id,))

    async def release_kernel(self, kernel_id: str) -> None:
        """Shut down a kernel unless a session uses it; called when a session got another one.

        A kernel whose gateway does not answer stays ours, and is listed as without a session.
        """
        if kernel_id in self.kernel_manager and not self._session_count(kernel_id):
            try:
                await self.kernel_manager.shutdown_kernel(kernel_id)
            except web.HTTPError as error:
                if error.status_code != 404:  # 404: somebody else has shut it down
                    self.log.warning("Kernel %s was not shut down: %s", kernel_id, error)

    def _kernel_of(self, session_id: str) -> str | None:
        """The id of a session's kernel; None if there is no such session."""
        query = "SELECT kernel_id FROM session WHERE session_id = ?"
        row = self.cursor.execute(query, (session_id,)).fetchone()
        return str(row[0]) if row is not None else None

    def _session_count(self, kernel_id: str) -> int:
        """How many sessions use a kernel."""
        query = "SELECT COUNT(*) FROM session WHERE kernel_id = ?"
        (count,) = self.cursor.execute(query, (kernel_id,)).fetchone()
        return int(count)

    async def list_sessions(self) -> list[JsonObject]:
        """All sessions; the state of a kernel whose gateway cannot be reached is *unknown*."""
        await self.kernel_manager.refresh()
        sessions: list[JsonObject] = await super().list_sessions()
        return sessions

    async def row_to_model(self, row: Any, tolerate_culled: bool = False) -> JsonObject | None:
        """A session's model, as of the last poll of the gateway; called for each row of a list.

        As in the base class, without its two calls to methods that may be asynchronous.
        """
        kernel = self.kernel_manager.cached_model(row["kernel_id"])
        model: JsonObject | None
        if kernel is None and self._is_unavailable(row["kernel_id"]):
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

    def _is_unavailable(self, kernel_id: str) -> bool:
        """Whether a kernel is on a gateway that was removed, or is not started yet.

        Its session is not listed meanwhile, and not deleted.
        """
        known = self.store is not None and self.store.has_kernel(kernel_id)
        return known and kernel_id not in self.kernel_manager

    def get_kernel_env(self, path: str | None, name: str | None = None) -> dict[str, str]:
        """The session's part of its kernel's environment, without this server's environment.

        Called for every session's kernel; its kernel manager decides what is sent.
        """
        env: dict[str, str] = super().get_kernel_env(path, name)
        return {"JPY_SESSION_NAME": env["JPY_SESSION_NAME"]}
