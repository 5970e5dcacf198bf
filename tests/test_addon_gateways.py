"""The add-on in real gateways: what a ticket opens, and above all what it does not."""

from __future__ import annotations

import pytest

from .conftest import SharedServers
from .processes import Server
from .tickets import PageChannels, kernel_body


@pytest.fixture
def with_addon(shared: SharedServers, kind: str) -> Server:
    """A shared gateway of each kind with the add-on; tests leave it as it was."""
    return shared.gateway(kind, addon=True)


def test_a_cell_runs_over_a_ticket_from_another_site(with_addon: Server) -> None:
    with with_addon.kernel(**kernel_body(with_addon)) as kernel_id:
        with PageChannels(with_addon, kernel_id) as channels:
            assert channels.v1
            assert channels.run("print(6 * 7)") == "42\n"
        with PageChannels(with_addon, kernel_id, subprotocols=()) as channels:
            assert not channels.v1
            assert channels.run("print(6 * 7)") == "42\n"
