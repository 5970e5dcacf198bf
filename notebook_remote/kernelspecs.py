"""The gateway's kernelspecs, and their logos, as if they were ours."""

from __future__ import annotations

import os
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.utils import url_escape, url_path_join
from traitlets import Instance, default

from .gateways import GatewayBackend, backend_of

Model = dict[str, Any]


class RemoteKernelSpecManager(KernelSpecManager):
    """Lists the kernelspecs of the gateway. Called by jupyter_server's kernelspec handlers."""

    backend = Instance(GatewayBackend)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.last_specs: Model = {}
        self._configured_default = self._default_from_config()

    @default("backend")
    def _default_backend(self) -> GatewayBackend:
        return backend_of(self)

    async def get_all_specs(self) -> Model:
        """Models of all kernelspecs by name; sets the default kernel too. Raises GatewayError."""
        answer = await self.backend.client.kernelspecs(user=os.environ.get("KERNEL_USERNAME"))
        specs: Model = {}
        for name, model in answer["kernelspecs"].items():
            allowed = self.allowed_kernelspecs
            if isinstance(model, dict) and (not allowed or name in allowed):
                specs[name] = self._with_our_urls(str(name), model)
        self.last_specs = specs
        self._set_default(str(answer.get("default") or ""))
        return specs

    async def get_kernel_spec(self, kernel_name: str, **kwargs: Any) -> Model:
        """The model of one kernelspec. Raises KernelSpecNotFound (a KeyError), GatewayError."""
        model = await self.backend.client.kernelspec(kernel_name)
        return self._with_our_urls(kernel_name, model)

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> bytes | None:
        """A kernelspec's file, such as its logo; the resource handler asks for this first."""
        return await self.backend.client.kernelspec_resource(kernel_name, path)

    def _with_our_urls(self, name: str, model: Model) -> Model:
        """Let the page get logos from us: it cannot reach, or prove itself to, the gateway."""
        resources = model.get("resources")
        base_url = getattr(self.parent, "base_url", "/")
        ours = {}
        for key, url in (resources if isinstance(resources, dict) else {}).items():
            _, _, inside = str(url).rpartition("/kernelspecs/")
            _, found, file = inside.partition("/")
            if found:
                ours[key] = url_path_join(base_url, "kernelspecs", url_escape(name), file)
        return {**model, "name": name, "resources": ours}

    def _default_from_config(self) -> str:
        config = self.config
        sections = ("RemoteMappingKernelManager", "MappingKernelManager", "MultiKernelManager")
        chosen = [
            config[s].default_kernel_name for s in sections if "default_kernel_name" in config[s]
        ]
        return str(chosen[0]) if chosen else ""

    def _set_default(self, of_gateway: str) -> None:
        """The default kernel: the user's choice where the gateway has it, else the gateway's."""
        kernel_manager = getattr(self.parent, "kernel_manager", None)
        chosen = self._configured_default
        name = chosen if chosen in self.last_specs else of_gateway
        if kernel_manager is not None and name:
            kernel_manager.default_kernel_name = name
