"""The kernelspecs of one gateway, with files such as logos at addresses of this server."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote, unquote

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server.utils import url_path_join
from traitlets import Instance

from ...client.connection import GatewayConnection
from ...types import JsonObject


class RemoteKernelSpecManager(KernelSpecManager):
    """Lists the kernelspecs of one gateway. Called by RoutedKernelSpecManager."""

    gateway = Instance(GatewayConnection)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.last_specs: JsonObject = {}
        self.default_name = ""  # known once they have been listed
        self._configured_default = self._default_from_config()

    async def get_all_specs(self) -> JsonObject:
        """Models of all kernelspecs by name; updates ``default_name`` too. Raises GatewayError."""
        answer = await self.gateway.client.kernelspecs(user=os.environ.get("KERNEL_USERNAME"))
        specs: JsonObject = {}
        for name, model in answer["kernelspecs"].items():
            allowed = self.allowed_kernelspecs
            if not allowed or name in allowed:
                specs[name] = self._with_our_urls(name, model)
        self.last_specs = specs
        configured = self._configured_default
        self.default_name = configured if configured in specs else answer["default"]
        return specs

    async def get_kernel_spec(self, kernel_name: str, **kwargs: Any) -> JsonObject:
        """The model of one kernelspec. Raises KernelSpecNotFound (a KeyError), GatewayError."""
        model = await self.gateway.client.kernelspec(kernel_name)
        return self._with_our_urls(kernel_name, model)

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> bytes | None:
        """A file of a kernelspec, such as its logo; called by the resource handler."""
        return await self.gateway.client.kernelspec_resource(kernel_name, path)

    def _with_our_urls(self, name: str, model: JsonObject) -> JsonObject:
        """Replace the addresses of logos by ours: pages cannot reach, or log in to, the gateway."""
        base_url = getattr(self.parent, "base_url", "/")
        resources = {
            key: url
            for key, gateway_url in model["resources"].items()
            if (url := our_url(base_url, name, gateway_url))
        }
        return {**model, "name": name, "resources": resources}

    def _default_from_config(self) -> str:
        config = self.config
        sections = ("RemoteMappingKernelManager", "MappingKernelManager", "MultiKernelManager")
        configured = [
            config[s].default_kernel_name for s in sections if "default_kernel_name" in config[s]
        ]
        return str(configured[0]) if configured else ""


def our_url(base_url: str, name: str, url: str) -> str:
    """The address at this server of a kernelspec's file at ``url``; empty if it is no such file.

    Pages request the result with their cookies, so it must not lead to any other route.
    """
    path = re.sub(r"[?#].*", "", url, flags=re.DOTALL)
    _, found, inside = path.rpartition("/kernelspecs/")
    parts = [name, *(unquote(part) for part in inside.split("/")[1:])]
    if not found or len(parts) == 1 or any(part in ("", ".", "..") for part in parts):
        return ""
    quoted = (quote(part, safe="@", errors="replace") for part in parts)
    return str(url_path_join(base_url, "kernelspecs", *quoted))
