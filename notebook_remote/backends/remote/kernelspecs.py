"""The kernelspecs of one backend: of a gateway, as if they were ours, or of this computer."""

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
        """Models of all kernelspecs by name; notes the default one too. Raises GatewayError."""
        answer = await self.gateway.client.kernelspecs(user=os.environ.get("KERNEL_USERNAME"))
        specs: JsonObject = {}
        for name, model in answer["kernelspecs"].items():
            allowed = self.allowed_kernelspecs
            if not allowed or name in allowed:
                specs[name] = self._with_our_urls(name, model)
        self.last_specs = specs
        chosen = self._configured_default
        self.default_name = chosen if chosen in specs else answer["default"]
        return specs

    async def get_kernel_spec(self, kernel_name: str, **kwargs: Any) -> JsonObject:
        """The model of one kernelspec. Raises KernelSpecNotFound (a KeyError), GatewayError."""
        model = await self.gateway.client.kernelspec(kernel_name)
        return self._with_our_urls(kernel_name, model)

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> bytes | None:
        """A kernelspec's file, such as its logo; the resource handler asks for this first."""
        return await self.gateway.client.kernelspec_resource(kernel_name, path)

    def _with_our_urls(self, name: str, model: JsonObject) -> JsonObject:
        """Let the page get logos from us: it cannot reach, or prove itself to, the gateway."""
        base_url = getattr(self.parent, "base_url", "/")
        given = model["resources"].items()
        ours = {key: url for key, at in given if (url := our_url(base_url, name, at))}
        return {**model, "name": name, "resources": ours}

    def _default_from_config(self) -> str:
        config = self.config
        sections = ("RemoteMappingKernelManager", "MappingKernelManager", "MultiKernelManager")
        chosen = [
            config[s].default_kernel_name for s in sections if "default_kernel_name" in config[s]
        ]
        return str(chosen[0]) if chosen else ""


def our_url(base_url: str, name: str, url: str) -> str:
    """The address here of a kernelspec's file that somebody has at ``url``; else empty.

    A page gets what is there, with its cookies: the address leads to no other route.
    """
    path = re.sub(r"[?#].*", "", url, flags=re.DOTALL)
    _, found, inside = path.rpartition("/kernelspecs/")
    parts = [name, *(unquote(part) for part in inside.split("/")[1:])]
    if not found or len(parts) == 1 or any(part in ("", ".", "..") for part in parts):
        return ""
    quoted = (quote(part, safe="@", errors="replace") for part in parts)
    return str(url_path_join(base_url, "kernelspecs", *quoted))
