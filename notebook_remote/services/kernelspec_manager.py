"""The kernelspecs of all backends, behind jupyter_server's interface."""

from __future__ import annotations

from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from traitlets import Instance

from ..backends.base import Backend
from ..backends.registry import BackendRegistry
from ..backends.remote.kernelspecs import our_url
from ..kernelspec_names import display_name
from ..types import JsonObject


class RoutedKernelSpecManager(KernelSpecManager):
    """The kernelspecs of all backends. Called by jupyter_server's kernelspec handlers."""

    backends = Instance(BackendRegistry)

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("backends", getattr(kwargs.get("parent"), "backends", None))
        super().__init__(**kwargs)

    async def get_all_specs(self) -> JsonObject:
        """Models of all kernelspecs by their public names; sets the default kernel too.

        Those of an unreachable backend are as of its last answer. Raises GatewayError if there are
        none at all.
        """
        await self.backends.list_kernelspecs()
        names = self.backends.unique_names()
        self._set_default(names)
        return {
            public: self._public(backend, own, public)
            for backend in self.backends
            for own in backend.specs.last_specs
            if (public := names[backend.name, own])
        }

    async def get_kernel_spec(self, kernel_name: str, **kwargs: Any) -> JsonObject:
        """The model of one kernelspec. Raises KernelSpecNotFound (a KeyError), GatewayError."""
        backend, own = await self.backends.resolve(kernel_name)
        model = await backend.specs.get_kernel_spec(own or "")
        return self._with_public_name(backend, model, kernel_name)

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> bytes | None:
        """A file of a kernelspec, such as its logo; called by the resource handler."""
        backend, own = await self.backends.resolve(kernel_name)
        return await backend.specs.get_kernel_spec_resource(own or "", path)

    def _public(self, backend: Backend, own: str, public: str) -> JsonObject:
        return self._with_public_name(backend, backend.specs.last_specs[own], public)

    def _with_public_name(self, backend: Backend, model: JsonObject, public: str) -> JsonObject:
        """A model under its public name; with several backends it says on which one it is."""
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
        spec = {**spec, "display_name": display, "metadata": metadata}
        return {**model, "name": public, "spec": spec, "resources": urls}

    def _set_default(self, names: dict[tuple[str, str], str]) -> None:
        """Set the default kernel: that of the first backend that has one."""
        kernel_manager = getattr(self.parent, "kernel_manager", None)
        for backend in self.backends:
            public = names.get((backend.name, backend.specs.default_name))
            if public is not None and kernel_manager is not None:
                kernel_manager.default_kernel_name = public
                return
