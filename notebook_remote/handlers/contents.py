"""The contents route, in which notebooks have the public names of their kernelspecs."""

from __future__ import annotations

from jupyter_server.services.contents.handlers import ContentsHandler

from ..backends.registry import BackendRegistry
from ..services.kernel_manager import RoutedKernelManager
from ..services.notebook_metadata import _kernelspec, for_file, for_page
from ..storage.session_store import SessionStore
from ..types import JsonObject


class DocumentsHandler(ContentsHandler):
    """``/api/contents``: jupyter_server's, with the kernelspecs of notebooks as above."""

    async def prepare(self) -> None:
        """Have the kernelspecs asked for; files depend on no gateway. Called by tornado."""
        await super().prepare()
        if self.current_user is not None and len(self._backends) > 1:
            await self._backends.look_at_kernelspecs()

    def get_json_body(self) -> JsonObject | None:
        """The body of a request; of one that saves a notebook, as it is saved."""
        body: JsonObject | None = super().get_json_body()
        found = _kernelspec(body) if isinstance(body, dict) else None
        if found is not None:
            metadata, kernelspec = found
            metadata["kernelspec"] = for_file(kernelspec, self._backends)
        return body

    def _finish_model(self, model: JsonObject, location: bool = True) -> None:
        found = _kernelspec(model)
        store = self._store
        if found is not None and store is not None:
            metadata, kernelspec = found
            last = store.last_gateway(str(model["path"]).strip("/"))
            metadata["kernelspec"] = for_page(kernelspec, self._backends, last)
        super()._finish_model(model, location)

    async def patch(self, path: str = "") -> None:
        """Rename a file or folder, with what is remembered of its documents."""
        await super().patch(path)
        body = self.get_json_body() or {}
        store = self._store
        if store is not None and isinstance(body.get("path"), str):
            store.rename_document(path.strip("/"), body["path"].strip("/"))

    @property
    def _backends(self) -> BackendRegistry:
        manager = self.kernel_manager
        assert isinstance(manager, RoutedKernelManager)  # noqa: S101 - for the type checker
        return manager.backends

    @property
    def _store(self) -> SessionStore | None:
        store: SessionStore | None = getattr(
            self.session_manager, "store", None
        )  # a user's has none
        return store
