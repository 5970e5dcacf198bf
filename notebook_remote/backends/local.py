"""The backend of this computer: kernels that the server runs itself, in local mode."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernelspecs.handlers import is_kernelspec_model, kernelspec_model

from ..compat.local_kernels import LocalKernelManager
from ..config.gateway import Gateway
from ..redaction import without_secrets
from ..storage.session_store import SessionStore
from ..types import JsonObject
from .base import THIS_COMPUTER, Backend


class LocalBackend(Backend):
    """This computer, whose kernels end with the server."""

    def __init__(
        self,
        config: Gateway,
        kernels: LocalKernelManager,
        specs: LocalKernelSpecs,
        store: SessionStore,
    ) -> None:
        super().__init__(config, kernels, specs)
        self._store = store

    @property
    def key(self) -> str:
        """The key of its documents in the store."""
        return THIS_COMPUTER

    def description(self) -> str:
        """A line for the log: where its kernels run, and whether they end with the server."""
        where = self.config.label if self.config.url else "this computer"
        where += f" at {without_secrets(self.config.url)}" if self.config.given_name else ""
        return (
            f"{self._kernel_count()} on {where}. When this server stops, kernels there are shut"
            " down."
        )

    async def kernelspecs_for_list(self) -> JsonObject:
        """Its kernelspecs as they are now: listing them is cheap here."""
        return await self._listing.fresh()

    async def adopt_stored(self) -> None:
        """Take over the documents of earlier servers; the kernels of this computer are gone."""
        await self._store.adopt(self.key)


class LocalKernelSpecs:
    """The kernelspecs of this computer. ``app`` is the server app."""

    def __init__(self, app: Any, manager: KernelSpecManager, default_name: str) -> None:
        self.last_specs: JsonObject = {}
        self.default_name = default_name
        self._app = app
        self._manager = manager

    async def get_all_specs(self) -> JsonObject:
        """Models of all kernelspecs by name."""
        found = await ensure_async(self._manager.get_all_specs())
        self.last_specs = {name: self._model(name, spec) for name, spec in found.items()}
        return self.last_specs

    async def get_kernel_spec(self, kernel_name: str) -> JsonObject:
        """The model of one kernelspec. Raises NoSuchKernel (a KeyError)."""
        spec = await ensure_async(self._manager.get_kernel_spec(kernel_name))
        if isinstance(spec, dict):
            return spec
        found = {"spec": spec.to_dict(), "resource_dir": spec.resource_dir}
        return self._model(kernel_name, found)

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> bytes | None:
        """A file of a kernelspec, such as its logo; None if missing, or outside its folder."""
        spec = await ensure_async(self._manager.get_kernel_spec(kernel_name))
        return await asyncio.to_thread(_read, Path(spec.resource_dir), path)

    def _model(self, name: str, found: JsonObject) -> JsonObject:
        if not is_kernelspec_model(found):
            model: JsonObject = kernelspec_model(
                self._app, name, found["spec"], found["resource_dir"]
            )
            return model
        return found


def _read(folder: Path, path: str) -> bytes | None:
    file = (folder / path).resolve()
    inside = file.is_relative_to(folder.resolve())
    return file.read_bytes() if inside and file.is_file() else None
