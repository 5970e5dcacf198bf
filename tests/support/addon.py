"""What the tests of the add-on share."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from .servers import Server
from .shared_servers import SharedServers
from .tickets import kernel_body

OUR_TRACEBACK = re.compile(r'File ".*notebook_remote_gateway/')


@pytest.fixture
def addon(shared: SharedServers, kind: str) -> Iterator[Server]:
    """A shared gateway of each kind with the add-on; tests leave it as it was.

    Whatever a test does with tickets, none of them is in the log: they all begin like this.
    """
    gateway = shared.gateway(kind, addon=True)
    yield gateway
    assert "eyJ" not in gateway.log


@pytest.fixture
def kernel_id(addon: Server) -> Iterator[str]:
    with addon.kernel(**kernel_body(addon)) as kernel_id:
        yield kernel_id


def audited(gateway: Server, what: str, kernel_id: str) -> list[str]:
    """The outcomes in the log's lines about a kernel."""
    line = rf"{what} outcome=(\S+) kernel={kernel_id} "
    return re.findall(line, gateway.log)
