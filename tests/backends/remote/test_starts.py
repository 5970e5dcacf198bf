"""The starts under way on a gateway, as far as none is sent."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from notebook_remote.backends.remote.gateway import ManagedGateway
from notebook_remote.backends.remote.starts import KernelStarts, Start
from notebook_remote.config.gateway import Gateway
from notebook_remote.exceptions import KernelNotFound
from notebook_remote.storage.session_store import SessionStore


def test_a_start_waits_until_it_is_sent() -> None:
    start = Start("k1", "python3", "a.ipynb")
    model = start.model()
    assert model == {
        "id": "k1",
        "name": "python3",
        "document": "a.ipynb",
        "state": "waiting",
        "seconds": pytest.approx(0, abs=1),
    }
    start.sent = True
    assert start.model()["state"] == "starting"


def test_only_a_start_under_way_is_cancelled(tmp_path: Path) -> None:
    store = SessionStore(tmp_path, str(tmp_path), logging.getLogger())

    async def test() -> None:
        gateway = ManagedGateway(Gateway(), store, lambda event: None)
        starts = KernelStarts(gateway, logging.getLogger())
        with pytest.raises(KernelNotFound):
            starts.cancel("k1")
        await starts.cancel_all()
        await starts.wait_for_aborts()
        await gateway.close()

    asyncio.run(test())
    store.close()
