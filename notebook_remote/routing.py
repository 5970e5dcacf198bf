"""The kernels and kernelspecs of all backends, behind the interfaces of jupyter_server.

Each backend has managers of its own; what comes here is passed on to those of the right one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Instance

from .backends import Backend, Backends
from .exceptions import KernelExists
from .kernels import RemoteMappingKernelManager
from .kernelspecs import our_url
from .reported import ReportedKernelManager

Model = dict[str, Any]


class RoutedKernelManager(AsyncMappingKernelManager):
    """The kernels of all backends. Called by jupyter_server's handlers and session manager."""

    backends = Instance(Backends)

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("backends", getattr(kwargs.get("parent"), "backends", None))
        super().__init__(**kwargs)

    # -- what the stock class asks of its own kernels ----------------------------------------------

    def list_kernel_ids(self) -> list[str]:
        """The ids of all kernels."""
        return [kernel_id for backend in self.backends for kernel_id in self._ids(backend)]

    def _ids(self, backend: Backend) -> Iterator[str]:
        yield from backend.kernels.list_kernel_ids()

    def __len__(self) -> int:
        return len(self.list_kernel_ids())

    def __bool__(self) -> bool:
        """True without kernels too: at a stop upstream leaves out a manager that is not."""
        return True

    def __contains__(self, kernel_id: object) -> bool:
        return self.backends.of_kernel(str(kernel_id)) is not None

    def get_kernel(self, kernel_id: str) -> KernelManager:
        """One kernel, whose parent is the manager of its backend. Raises 404."""
        return self._backend(kernel_id).kernels.get_kernel(kernel_id)

    @property
    def last_kernel_activity(self) -> datetime:
        """The latest of all backends; asked by jupyter_server for its status and its own end."""
        latest = self._started
        for backend in self.backends:
            latest = max(latest, backend.kernels.last_kernel_activity)
        return latest

    @last_kernel_activity.setter
    def last_kernel_activity(self, when: datetime) -> None:
        self._started: datetime = when  # by the stock constructor

    # -- what the handlers call --------------------------------------------------------------------

    async def start_kernel(self, **kwargs: Any) -> str:
        """Start a kernel on the backend that its kernelspec is of. Raises GatewayError."""
        kernel_id = kwargs.get("kernel_id")
        if kernel_id is not None and kernel_id in self:
            raise KernelExists(f"A kernel with the id {kernel_id} runs already: choose another id.")
        backend, name = await self.backends.resolve(kwargs.pop("kernel_name", None))
        if backend.gateway is None:
            kwargs.pop("document", None)  # of use for what may take long
        started = await backend.kernels.start_kernel(
            kernel_name=name or backend.specs.default_name or None, **kwargs
        )
        return str(started)

    def may_report(self, kernel_id: str | None, name: str | None) -> bool:
        """Whether a page may say that it has started this kernel; ``name`` is its kernelspec's.

        That must be of a gateway in browser mode. A kernel of any other backend is ours only if
        this server has started it there, or adopted it.
        """
        return self._reported_to(kernel_id, name) is not None

    def report(self, kernel_id: str | None, name: str | None) -> None:
        """Take note of a kernel that a page has started, if it may; called for its session."""
        reported = self._reported_to(kernel_id, name)
        if reported is not None:
            kernels, own = reported
            kernels.report(str(kernel_id), own)

    def _reported_to(
        self, kernel_id: str | None, name: str | None
    ) -> tuple[ReportedKernelManager, str] | None:
        backend, own = self.backends.said(name or "")
        kernels = backend.kernels if backend is not None else None
        if not kernel_id or kernel_id in self or not isinstance(kernels, ReportedKernelManager):
            return None
        return kernels, own

    async def kernel_model(self, kernel_id: str) -> Model:
        """The model as of the last look at the backend. Raises 404 for a kernel not ours."""
        backend = self._backend(kernel_id)
        return self._public(backend, await ensure_async(backend.kernels.kernel_model(kernel_id)))

    def known_model(self, kernel_id: str) -> Model | None:
        """The same of a kernel on a gateway, and None for others; for lists of many."""
        for backend in self.backends:
            if isinstance(backend.kernels, RemoteMappingKernelManager):
                model = backend.kernels.known_model(kernel_id)
                if model is not None:
                    return self._public(backend, model)
        return None

    async def fresh_kernel_model(self, kernel_id: str) -> Model:
        """The model, asked now. Raises KernelNotFound or, when it cannot be asked, 503 or 424."""
        backend = self._backend(kernel_id)
        if isinstance(backend.kernels, RemoteMappingKernelManager):
            return self._public(backend, await backend.kernels.fresh_kernel_model(kernel_id))
        return await self.kernel_model(kernel_id)

    async def refresh(self) -> None:
        """Look at the gateways, for lists."""
        await self.backends.refresh()

    async def list_kernels(self) -> list[Model]:
        """The models of all kernels: *unknown* while their gateway cannot be asked."""
        await self.refresh()
        models = []
        for backend in self.backends:
            kernels = backend.kernels
            if isinstance(kernels, RemoteMappingKernelManager):
                known = kernels.known_models()
            else:
                known = await ensure_async(kernels.list_kernels())
            models += [self._public(backend, model) for model in known]
        return models

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
        ends = (ensure_async(backend.kernels.shutdown_all(now=now)) for backend in backends)
        results = await asyncio.gather(*ends, return_exceptions=True)
        for backend, error in zip(backends, results, strict=True):
            if isinstance(error, Exception):
                self.log.error("The kernels on %s were not shut down", backend.name, exc_info=error)

    def _backend(self, kernel_id: str) -> Backend:
        self._check_kernel_id(kernel_id)
        backend = self.backends.of_kernel(kernel_id)
        assert backend is not None  # noqa: S101 - for the type checker
        return backend

    def _public(self, backend: Backend, model: Model) -> Model:
        if len(self.backends) > 1:
            name = self.backends.public_name(backend, str(model["name"]))
            model = {**model, "name": name}
        if backend.gateway is None:
            model = {**model, "backend": backend.name, "mode": backend.config.mode}
        return model


class RoutedKernelSpecManager(KernelSpecManager):
    """The kernelspecs of all backends. Called by jupyter_server's kernelspec handlers."""

    backends = Instance(Backends)

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("backends", getattr(kwargs.get("parent"), "backends", None))
        super().__init__(**kwargs)

    async def get_all_specs(self) -> Model:
        """Models of all kernelspecs by the names that pages know; sets the default kernel too.

        Those of a backend that cannot be asked are as it last said. Raises GatewayError if there
        are none at all.
        """
        await self.backends.list_kernelspecs()
        names = self.backends.public_names()
        self._set_default(names)
        return {
            public: self._public(backend, own, public)
            for backend in self.backends
            for own in backend.specs.last_specs
            if (public := names[backend.name, own])
        }

    async def get_kernel_spec(self, kernel_name: str, **kwargs: Any) -> Model:
        """The model of one kernelspec. Raises KernelSpecNotFound (a KeyError), GatewayError."""
        backend, own = await self.backends.resolve(kernel_name)
        model = await backend.specs.get_kernel_spec(own or "")
        return self._told(backend, model, kernel_name)

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> bytes | None:
        """A kernelspec's file, such as its logo; the resource handler asks for this first."""
        backend, own = await self.backends.resolve(kernel_name)
        return await backend.specs.get_kernel_spec_resource(own or "", path)

    def _public(self, backend: Backend, own: str, public: str) -> Model:
        return self._told(backend, backend.specs.last_specs[own], public)

    def _told(self, backend: Backend, model: Model, public: str) -> Model:
        """A model under the name that pages know, which with several backends says where it is."""
        if len(self.backends) == 1:
            return model
        base_url = getattr(self.parent, "base_url", "/")
        urls = {key: our_url(base_url, public, url) for key, url in model["resources"].items()}
        spec = model.get("spec") or {}
        metadata = {
            **(spec.get("metadata") or {}),
            "notebook_remote": {"backend": backend.name, "stale": backend.down is not None},
        }
        display = display_name(str(spec.get("display_name") or public), backend.label)
        told = {**spec, "display_name": display, "metadata": metadata}
        return {**model, "name": public, "spec": told, "resources": urls}

    def _set_default(self, names: dict[tuple[str, str], str]) -> None:
        """The default kernel: that of the first backend that has one."""
        kernel_manager = getattr(self.parent, "kernel_manager", None)
        for backend in self.backends:
            public = names.get((backend.name, backend.specs.default_name))
            if public is not None and kernel_manager is not None:
                kernel_manager.default_kernel_name = public
                return


def display_name(own: str, backend: str) -> str:
    """How people see the name of a kernelspec when there are several backends."""
    return f"{own} · {backend}"
