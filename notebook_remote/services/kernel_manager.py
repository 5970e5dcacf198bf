"""The kernels of all backends, behind jupyter_server's interface."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Instance

from ..backends.base import Backend
from ..backends.registry import BackendRegistry
from ..exceptions import KernelExists
from ..types import JsonObject


class AllKernels(Mapping[str, KernelManager]):
    """A live view of the kernels of all backends, by id."""

    def __init__(self, backends: BackendRegistry) -> None:
        self._backends = backends

    def __getitem__(self, kernel_id: str) -> KernelManager:
        backend = self._backends.of_kernel(kernel_id)
        if backend is None:
            raise KeyError(kernel_id)
        return backend.kernels.get_kernel(kernel_id)

    def __iter__(self) -> Iterator[str]:
        for backend in self._backends:
            yield from backend.kernels.list_kernel_ids()

    def __len__(self) -> int:
        return sum(len(backend.kernels) for backend in self._backends)


class RoutedKernelManager(AsyncMappingKernelManager):
    """The kernels of all backends. Called by jupyter_server's handlers and session manager."""

    backends = Instance(BackendRegistry)

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("backends", getattr(kwargs.get("parent"), "backends", None))
        super().__init__(**kwargs)

    # -- what the base class needs of its own kernels ----------------------------------------------

    @property
    def _kernels(self) -> AllKernels:
        """The kernels that inherited methods use, also those that other programs call."""
        return AllKernels(self.backends)

    def __bool__(self) -> bool:
        """True even without kernels: jupyter_server does not stop a manager that is false."""
        return True

    def __contains__(self, kernel_id: object) -> bool:
        return self.backends.of_kernel(str(kernel_id)) is not None

    def get_kernel(self, kernel_id: str) -> KernelManager:
        """One kernel, whose parent is the manager of its backend. Raises 404."""
        return self._backend(kernel_id).kernels.get_kernel(kernel_id)

    @property
    def last_kernel_activity(self) -> datetime:
        """The latest activity on all backends; for jupyter_server's status and idle shutdown."""
        latest = self._started
        for backend in self.backends:
            latest = max(latest, backend.kernels.last_kernel_activity)
        return latest

    @last_kernel_activity.setter
    def last_kernel_activity(self, when: datetime) -> None:
        self._started: datetime = when  # set by the inherited constructor

    # -- what the handlers call --------------------------------------------------------------------

    async def start_kernel(self, **kwargs: Any) -> str:
        """Start a kernel on the backend of its kernelspec. Raises GatewayError."""
        kernel_id = kwargs.get("kernel_id")
        if kernel_id is not None and kernel_id in self:
            raise KernelExists(f"A kernel with the id {kernel_id} runs already: choose another id.")
        backend, name = await self.backends.resolve(kwargs.pop("kernel_name", None))
        return await backend.start_kernel(
            kernel_name=name or backend.specs.default_name or None, **kwargs
        )

    def may_report(self, kernel_id: str | None, name: str | None) -> bool:
        """Whether a page may report that it has started this kernel; ``name`` is its kernelspec's.

        The kernelspec must be one of a gateway in browser mode. A kernel of any other backend is
        ours only if this server has started it there, or adopted it.
        """
        return self._backend_for_report(kernel_id, name) is not None

    def report(self, kernel_id: str | None, name: str | None) -> None:
        """Register a kernel that a page has started, if it may report it; for its session."""
        found = self._backend_for_report(kernel_id, name)
        if found is not None:
            backend, own_name = found
            backend.report(str(kernel_id), own_name)

    def _backend_for_report(
        self, kernel_id: str | None, name: str | None
    ) -> tuple[Backend, str] | None:
        backend, own_name = self.backends.split(name or "")
        if backend is None or kernel_id in self or not backend.accepts_report(kernel_id or ""):
            return None
        return backend, own_name

    async def kernel_model(self, kernel_id: str) -> JsonObject:
        """The model as of the backend's last poll. Raises 404 for a kernel that is not ours."""
        backend = self._backend(kernel_id)
        return self._public(backend, await backend.kernel_model(kernel_id))

    def cached_model(self, kernel_id: str) -> JsonObject | None:
        """The model of a kernel on a gateway as of its last poll, else None; for long lists."""
        for backend in self.backends:
            model = backend.cached_kernel_model(kernel_id)
            if model is not None:
                return self._public(backend, model)
        return None

    async def fresh_kernel_model(self, kernel_id: str) -> JsonObject:
        """The model, requested now. Raises KernelNotFound and other GatewayErrors."""
        backend = self._backend(kernel_id)
        return self._public(backend, await backend.fresh_kernel_model(kernel_id))

    async def refresh(self) -> None:
        """Update the kernels of all gateways, for lists."""
        await self.backends.refresh()

    async def list_kernels(self) -> list[JsonObject]:
        """The models of all kernels: *unknown* while their gateway cannot be reached."""
        await self.refresh()
        return [
            self._public(backend, model)
            for backend in self.backends
            for model in await backend.kernel_models()
        ]

    async def shutdown_kernel(
        self, kernel_id: str, now: bool = False, restart: bool = False
    ) -> None:
        """Shut a kernel down. Raises GatewayError while its gateway does not answer."""
        kernels = self._backend(kernel_id).kernels
        await ensure_async(kernels.shutdown_kernel(kernel_id, now=now, restart=restart))

    async def restart_kernel(self, kernel_id: str, now: bool = False, **kwargs: Any) -> None:
        """Restart a kernel."""
        kernels = self._backend(kernel_id).kernels
        await ensure_async(kernels.restart_kernel(kernel_id, now=now, **kwargs))

    async def interrupt_kernel(self, kernel_id: str) -> None:
        """Interrupt a kernel."""
        await ensure_async(self._backend(kernel_id).kernels.interrupt_kernel(kernel_id))

    def update_env(self, *, kernel_id: str, env: dict[str, str]) -> None:
        """Change a kernel's environment, where that is possible; called on renames."""
        self._backend(kernel_id).kernels.update_env(kernel_id=kernel_id, env=env)

    async def shutdown_all(self, now: bool = False) -> None:
        """Shut all kernels down, those of all backends at once; called when the server stops."""
        backends = list(self.backends)
        shutdowns = (ensure_async(b.kernels.shutdown_all(now=now)) for b in backends)
        results = await asyncio.gather(*shutdowns, return_exceptions=True)
        for backend, error in zip(backends, results, strict=True):
            if isinstance(error, Exception):
                self.log.error("The kernels on %s were not shut down", backend.name, exc_info=error)

    def _backend(self, kernel_id: str) -> Backend:
        self._check_kernel_id(kernel_id)
        backend = self.backends.of_kernel(kernel_id)
        assert backend is not None  # noqa: S101 - for the type checker
        return backend

    def _public(self, backend: Backend, model: JsonObject) -> JsonObject:
        if len(self.backends) > 1:
            name = self.backends.public_name(backend, str(model["name"]))
            model = {**model, "name": name}
        return backend.public_model(model)
