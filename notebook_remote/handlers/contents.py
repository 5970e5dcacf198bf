"""The contents route: notebooks in it have the public names of their kernelspecs."""

from __future__ import annotations

from jupyter_server.services.contents.handlers import ContentsHandler

from ..backends.registry import BackendRegistry
from ..services.kernel_manager import RoutedKernelManager
from ..services.notebook_metadata import for_file, for_page, metadata_and_kernelspec
from ..storage.session_store import SessionStore
from ..types import JsonObject


class DocumentsHandler(ContentsHandler):
    """``/api/contents``, with kernelspecs as in ``services.notebook_metadata``."""

    async def prepare(self) -> None:
        """Start to update the kernelspecs, without waiting for gateways. Called by tornado."""
        await super().prepare()
        if self.current_user is not None and len(self._backends) > 1:
            await self._backends.refresh_kernelspecs()

    def get_json_body(self) -> JsonObject | None:
        """The body of a request; a notebook in it has the kernelspec for its file."""
        body: JsonObject | None = super().get_json_body()
        found = metadata_and_kernelspec(body) if isinstance(body, dict) else None
        if found is not None:
            metadata, kernelspec = found
            metadata["kernelspec"] = for_file(kernelspec, self._backends)
        return body

    def _finish_model(self, model: JsonObject, location: bool = True) -> None:
        found = metadata_and_kernelspec(model)
        store = self._store
        if found is not None and store is not None:
            metadata, kernelspec = found
            last = store.last_gateway(str(model["path"]).strip("/"))
            metadata["kernelspec"] = for_page(kernelspec, self._backends, last)
        super()._finish_model(model, location)

    async def patch(self, path: str = "") -> None:
        """Rename a file or folder, also in the store."""
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
        # A session manager class that the user has configured has no store.
        store: SessionStore | None = getattr(self.session_manager, "store", None)
        return store
