"""Fixtures: real gateways with the add-on, and kernels on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..support.servers import Server
from ..support.shared_servers import SharedServers
from ..support.tickets import kernel_body


@pytest.fixture
def gateway(shared: SharedServers, kind: str) -> Iterator[Server]:
    """A shared gateway of each kind with the add-on; tests leave it as it was.

    No ticket is ever in its log: they all begin with these letters.
    """
    gateway = shared.gateway(kind, addon=True)
    yield gateway
    assert "eyJ" not in gateway.log


@pytest.fixture
def kernel_id(gateway: Server) -> Iterator[str]:
    with gateway.kernel(**kernel_body(gateway)) as kernel_id:
        yield kernel_id
