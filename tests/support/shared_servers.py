"""Servers that many tests share."""

from __future__ import annotations

import pytest

from .servers import Farm, Server

KINDS = ["jupyter-server", "kernel-gateway", "enterprise-gateway"]


ON_GATEWAYS = [
    *(pytest.param(kind, id=kind) for kind in KINDS[:2]),
    pytest.param("enterprise-gateway", id="enterprise-gateway", marks=pytest.mark.eg),
]


EVERYWHERE = [pytest.param("embedded", id="embedded"), *ON_GATEWAYS]


class SharedServers:
    """One gateway and one notebook server of each kind, started when first asked for."""

    def __init__(self, farm: Farm) -> None:
        self.farm = farm
        self.gateways: dict[str, Server] = {}
        self.notebooks: dict[str, Server] = {}

    def gateway(self, kind: str, addon: bool = False) -> Server:
        name = f"{kind}+addon" if addon else kind
        if name not in self.gateways:
            self.gateways[name] = self.farm.gateway(kind, addon=addon).start()
        return self.gateways[name]

    def notebook(self, kind: str) -> Server:
        if kind not in self.notebooks:
            gateway = None if kind in ("embedded", "local") else self.gateway(kind)
            options = ["--mode=local"] if kind == "local" else []
            env = {"KERNEL_USERNAME": "ada"} if kind == "enterprise-gateway" else {}
            self.notebooks[kind] = self.farm.notebook(*options, gateway=gateway, env=env).start()
        return self.notebooks[kind]
