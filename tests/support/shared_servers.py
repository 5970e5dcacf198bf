"""Servers that many tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .servers import Farm, Server

KINDS = ["jupyter-server", "kernel-gateway", "enterprise-gateway"]


ON_GATEWAYS = [
    *(pytest.param(kind, id=kind) for kind in KINDS[:2]),
    pytest.param("enterprise-gateway", id="enterprise-gateway", marks=pytest.mark.eg),
]


EVERYWHERE = [pytest.param("embedded", id="embedded"), *ON_GATEWAYS]


@pytest.fixture(scope="session")
def shared_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    farm = Farm(tmp_path_factory.mktemp("shared"))
    yield farm
    farm.close()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    """Servers that this test may break; ended with it."""
    farm = Farm(tmp_path)
    yield farm
    farm.close()


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


@pytest.fixture(scope="session")
def shared(shared_farm: Farm) -> SharedServers:
    return SharedServers(shared_farm)


@pytest.fixture(params=ON_GATEWAYS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gateway(shared: SharedServers, kind: str) -> Server:
    """A shared gateway of each kind; tests leave it as it was."""
    return shared.gateway(kind)
