"""When a kernel counts as gone: polling a gateway that lists nothing and answers 404."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from notebook_remote.backends.remote.gateway import ManagedGateway
from notebook_remote.backends.remote.kernel_manager import RemoteKernelManager
from notebook_remote.backends.remote.kernelspecs import RemoteKernelSpecManager
from notebook_remote.backends.remote.multikernel_manager import RemoteMappingKernelManager
from notebook_remote.backends.remote.polling import KernelPoller
from notebook_remote.config.gateway import Gateway
from notebook_remote.storage.session_store import SessionStore

KERNEL = "11111111-2222-4333-8444-555555555555"
MODEL = {"id": KERNEL, "name": "python3", "execution_state": "idle", "connections": 0}


class KernelsApi:
    """``/api/kernels`` of a gateway that has one kernel, or none, and may not list it."""

    def __init__(self) -> None:
        self.has_kernel = self.lists_kernel = True
        self.requests = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.requests += 1
                listing = self.path.endswith("/api/kernels")
                found = listing or api.has_kernel
                body: object = MODEL if found else {"message": f"Kernel does not exist: {KERNEL}"}
                if listing:
                    body = [MODEL] if api.lists_kernel else []
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def api() -> Iterator[KernelsApi]:
    api = KernelsApi()
    yield api
    api.server.shutdown()
    api.server.server_close()


class Polled:
    """A poller of one kernel, and what it has reported."""

    def __init__(self, gateway: ManagedGateway) -> None:
        specs = RemoteKernelSpecManager(gateway=gateway)
        manager = RemoteMappingKernelManager(gateway=gateway, kernel_spec_manager=specs)
        self.kernel = RemoteKernelManager(
            parent=manager, gateway=gateway, kernel_name="python3", kernel_spec_manager=specs
        )
        self.kernel.apply_model(MODEL)
        self.updated: list[RemoteKernelManager] = []
        self.gone: list[RemoteKernelManager] = []
        self.poller = KernelPoller(
            gateway,
            {KERNEL: self.kernel},
            logging.getLogger(),
            on_update=self.updated.append,
            on_gone=self.gone.append,
        )

    async def recheck(self) -> None:
        """Wait for the end of a recheck."""
        while self.kernel.missing:
            await asyncio.sleep(0.05)


def run(api: KernelsApi, folder: Path, test: Callable[[Polled], Awaitable[None]]) -> None:
    store = SessionStore(folder, str(folder), logging.getLogger())

    async def polled() -> None:
        gateway = ManagedGateway(Gateway(url=api.url), store, lambda event: None)
        polled = Polled(gateway)
        await test(polled)
        polled.poller.stop()
        await gateway.close()

    asyncio.run(polled())
    store.close()


def test_an_unchanged_kernel_is_no_update(api: KernelsApi, tmp_path: Path) -> None:
    async def test(polled: Polled) -> None:
        await polled.poller.poll()
        polled.updated.clear()
        await polled.poller.poll()
        assert polled.updated == []
        await polled.poller.refresh()
        assert api.requests == 2  # the last answer is recent

    run(api, tmp_path, test)


def test_a_kernel_that_is_not_listed_is_asked_for(api: KernelsApi, tmp_path: Path) -> None:
    api.lists_kernel = False

    async def test(polled: Polled) -> None:
        await polled.poller.poll()
        assert polled.updated == [polled.kernel]
        assert (api.requests, polled.kernel.missing) == (2, False)

    run(api, tmp_path, test)


def test_a_kernel_is_gone_after_repeated_404s(api: KernelsApi, tmp_path: Path) -> None:
    api.lists_kernel = api.has_kernel = False

    async def test(polled: Polled) -> None:
        await polled.poller.poll()
        assert (polled.kernel.missing, polled.gone) == (True, [])
        await polled.recheck()
        assert polled.gone == [polled.kernel]

    run(api, tmp_path, test)


def test_a_kernel_that_is_found_again_stays(api: KernelsApi, tmp_path: Path) -> None:
    api.lists_kernel = api.has_kernel = False

    async def test(polled: Polled) -> None:
        assert not await polled.poller.poll_kernel(polled.kernel)
        api.has_kernel = True
        await polled.recheck()
        assert polled.gone == []

    run(api, tmp_path, test)


def test_before_the_start_deadline_a_404_means_nothing(api: KernelsApi, tmp_path: Path) -> None:
    api.lists_kernel = api.has_kernel = False

    async def test(polled: Polled) -> None:
        polled.kernel.start_deadline = float("inf")
        await polled.poller.poll()
        assert (polled.kernel.missing, polled.gone) == (False, [])
        api.lists_kernel = True
        await polled.poller.poll()
        assert polled.kernel.start_deadline == 0

    run(api, tmp_path, test)
