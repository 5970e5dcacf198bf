"""Our kernels on all backends: ``/notebook-remote/api/kernels`` and the starts under way."""

from __future__ import annotations

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from tornado import web

from ..backends.base import Backend
from ..types import JsonObject
from .api import ApiHandler


class KernelsHandler(ApiHandler):
    """``kernels``."""

    body_schema = "KernelToAdopt"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Our kernels on every backend with their sessions, and the starts under way."""
        sessions = await ensure_async(self.session_manager.list_sessions())
        users: dict[str, list[JsonObject]] = {}
        for session in sessions:
            user = {"id": session["id"], "path": session["path"]}
            users.setdefault(session["kernel"]["id"], []).append(user)
        backends = self.backend_manager.backends
        kernels = [m for backend in backends for m in await self._kernels_of(backend, users)]
        starts = [m for backend in self.backend_manager.backends for m in backend.starts()]
        self._answer({"kernels": kernels, "starts": starts})

    @web.authenticated
    @authorized("execute")
    async def post(self) -> None:
        """Adopt a kernel that runs on a gateway, by its id."""
        body = self._body()
        backend = self._backend(str(body.get("backend", "")))
        kernel_id = str(body.get("kernel_id", ""))
        await backend.adopt(kernel_id)
        self._answer(await self.kernel_manager.kernel_model(kernel_id), 201)

    async def _kernels_of(
        self, backend: Backend, users: dict[str, list[JsonObject]]
    ) -> list[JsonObject]:
        models = []
        for kernel_id in backend.kernels.list_kernel_ids():
            kernel = await backend.kernel_model(kernel_id)
            models.append(
                {
                    "id": kernel_id,
                    "name": kernel["name"],
                    "backend": backend.name,
                    "execution_state": "unknown" if backend.down else kernel["execution_state"],
                    "last_activity": kernel["last_activity"],
                    "on_exit": "keep" if backend.is_kept(kernel_id) else "shutdown",
                    "can_be_kept": backend.can_keep_kernels,
                    "sessions": users.get(kernel_id, []),
                }
            )
        return models


class KernelHandler(ApiHandler):
    """``kernels/<id>``."""

    body_schema = "KernelChange"

    @web.authenticated
    @authorized("execute")
    async def patch(self, kernel_id: str) -> None:
        """Choose whether a kernel goes on running when this server stops."""
        on_exit = self._body().get("on_exit")
        if on_exit not in ("keep", "shutdown"):
            raise web.HTTPError(400, "on_exit is 'keep' or 'shutdown'.")
        backend = self.backend_manager.backends.of_kernel(kernel_id)
        if backend is None:
            raise web.HTTPError(404, f"There is no kernel {kernel_id}.")
        backend.keep(kernel_id, on_exit == "keep")
        kept = backend.is_kept(kernel_id)
        self._answer({"id": kernel_id, "on_exit": "keep" if kept else "shutdown"})


class StartHandler(ApiHandler):
    """``starts/<id>``."""

    @web.authenticated
    @authorized("execute")
    async def delete(self, kernel_id: str) -> None:
        """Cancel the start of a kernel; if it comes up all the same, it is shut down."""
        for backend in self.backend_manager.backends:
            if backend.cancel_start(kernel_id):
                self.set_status(204)
                self.finish()
                return
        raise web.HTTPError(404, f"No kernel {kernel_id} is being started (any more).")
