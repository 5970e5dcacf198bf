"""Makes the backends of a server, and starts and stops them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.client import KernelClient
from jupyter_client.kernelspec import KernelSpecManager
from traitlets import TraitError

from ..client.connection import always_ready
from ..compat.local_kernels import LocalKernelManager
from ..config.gateway import Gateway
from ..config.named import Gateways
from ..embedded.kernel_config import kernel_config
from ..embedded.supervisor import EmbeddedGateway
from ..net.urls import same_server
from ..storage.saved_gateways import CREDENTIALS, Options, SavedGateways
from ..storage.session_store import SessionStore
from .base import Backend
from .browser import BrowserBackend, BrowserKernelManager, browser_mode_key
from .local import LocalBackend, LocalKernelSpecs
from .registry import BackendRegistry
from .remote.backend import GatewayBackend
from .remote.gateway import ManagedGateway
from .remote.kernelspecs import RemoteKernelSpecManager
from .remote.links import event_listener
from .remote.multikernel_manager import RemoteMappingKernelManager

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

LOOK_AGAIN = 60.0  # seconds, for what a server on another computer may have left by then


class BackendManager:
    """Owned by the server app, which is the parent of the managers that are made here."""

    def __init__(
        self,
        app: ServerApp,
        gateways: Gateways,
        folder: Path,
        client_factory: Callable[..., KernelClient],
    ) -> None:
        self._app = app
        self._gateways = gateways
        self._client_factory = client_factory  # for programs within this server
        self.saved = SavedGateways(folder, app.log)
        self.added: dict[str, Options] = {}  # in pages
        self.examining = asyncio.Lock()  # one gateway at a time
        self.on_change: Callable[[], object] = lambda: None
        root_dir = str(Path(app.root_dir).resolve())
        self.store = SessionStore(folder, root_dir, app.log)
        self.backends = BackendRegistry()
        self._embedded: EmbeddedGateway | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._emit = event_listener(app.event_logger)

    @property
    def changes_by_pages(self) -> bool:
        """Whether pages may change the backends."""
        return bool(self._gateways.changes_by_pages)

    def add_all(self, configured: list[Gateway]) -> None:
        """Make those that are configured, and those that were added in pages of earlier servers."""
        for config in configured:
            self.add(config)
        known = {backend.name for backend in self.backends}
        for config, options in self.saved.gateways(self._gateways, known):
            self.add(config)
            self.added[config.name] = options

    def configure(self, name: str, options: Options) -> Gateway:
        """A gateway that somebody wants to add. Raises TraitError."""
        config = self._gateways.make_for_page(name, options)
        if config.mode not in ("proxy", "direct"):
            raise TraitError(
                "The mode of a gateway that is added here is 'proxy' or 'direct'; for 'browser' add"
                " it in the configuration, with --gateway=NAME=URL and the variable"
                " NOTEBOOK_REMOTE_<NAME>_MODE=browser."
            )
        return config

    def add_named(self, name: str, options: Options) -> Backend:
        """Make and start one while the server runs. Raises TraitError.

        One that is configured, and was removed, is the configured one again.
        """
        config = self.configure(name, options)
        if config.from_page:
            self.added[name] = dict(options)
        backend = self.add(config)
        self._do(self.start(backend), f"start {name}")
        self.on_change()
        return backend

    async def move(self, name: str, options: Options) -> Backend:
        """Use a gateway that was added at another address, with its kernels. Raises TraitError.

        What proves us to it goes along to another path of the same server only: else whoever may
        change the address would get what somebody else has entered.
        """
        before, kept = self.backends.get(name), dict(self.added[name])
        target = self.configure(name, {**kept, **options}).url
        if before is not None and same_server(before.config.url, target):
            found = {
                key: value for key, value in before.credentials().items() if key in CREDENTIALS
            }
            kept |= {key: value for key, value in found.items() if value}
        else:
            kept = {key: value for key, value in kept.items() if key not in CREDENTIALS}
        merged = {**kept, **options}
        config = self.configure(name, merged)
        await self._leave(self.backends.remove(name))
        self.added[name] = merged
        backend = self.add(config)
        self._do(self.start(backend), f"start {name}")
        self.on_change()
        return backend

    def _do(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do something in the background, for as long as the server runs."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def add(self, config: Gateway) -> Backend:
        """Make a backend, which has to be started. Raises TraitError."""
        make = {"local": self._local, "browser": self._browser}.get(config.mode, self._gateway)
        backend = make(config)
        self.backends.add(backend)
        return backend

    async def start(self, backend: Backend) -> None:
        """Start an embedded gateway, and find the kernels again that an earlier server had.

        Called when the event loop runs.
        """
        if isinstance(backend, GatewayBackend) and backend.config.embedded and self._embedded:
            self._embedded.start(
                on_address=backend.gateway.use_address,
                on_searched=self._forgetting(backend, self._embedded),
                on_used=_adopting(backend),
                on_found=backend.kernels.adopt,
            )
            return
        try:
            await backend.adopt_stored()
        finally:
            backend.adopted.set()
        while await asyncio.to_thread(self.store.is_used_elsewhere):
            await asyncio.sleep(LOOK_AGAIN)
            await backend.adopt_stored()

    def _forgetting(
        self, backend: Backend, embedded: EmbeddedGateway
    ) -> Callable[[], Awaitable[None]]:
        async def forget() -> None:
            backend.adopted.set()
            await self.store.forget_gateways(embedded.is_gone)

        return forget

    async def remove(self, name: str) -> None:
        """Use a gateway no longer; what is known of its kernels stays in the store."""
        backend = self.backends.remove(name)
        self.added.pop(name, None)
        self.on_change()
        await self._leave(backend)

    async def _leave(self, backend: Backend) -> None:
        """Use a backend no longer. Its kernels that are being started are shut down."""
        await backend.leave()
        self._do(self._close(backend), f"leave {backend.name}")

    async def _close(self, backend: Backend) -> None:
        try:
            await backend.settle()
        finally:
            await backend.close()

    async def stop(self) -> None:
        """Stop an embedded gateway, unless it has kernels to keep; let go of everything."""
        for task in self._tasks:
            task.cancel()
        try:
            for backend in self.backends:
                if backend.config.embedded and self._embedded is not None:
                    left = self.store.kernels(backend.key)
                    await (self._embedded.detach() if left else self._embedded.stop())
            await asyncio.gather(
                *(backend.close() for backend in self.backends), return_exceptions=True
            )
        finally:
            self.store.close()

    def _gateway(self, config: Gateway) -> Backend:
        app = self._app
        if config.embedded:
            self._embedded = EmbeddedGateway(
                config, app.root_dir, kernel_config(app.config, type(app))
            )
        ready = self._embedded.ready if config.embedded and self._embedded else always_ready
        gateway = ManagedGateway(config, self.store, self._emit, ready)
        specs = RemoteKernelSpecManager(parent=app, gateway=gateway)
        kernels = RemoteMappingKernelManager(
            parent=app,
            log=app.log,
            gateway=gateway,
            kernel_spec_manager=specs,
            client_factory=self._client_factory,
        )
        return GatewayBackend(gateway, kernels, specs)

    def _local(self, config: Gateway) -> Backend:
        app = self._app
        chosen = app.config.ServerApp.get("kernel_spec_manager_class")
        chosen = app.kernel_spec_manager_class if chosen else KernelSpecManager
        found = chosen(parent=app)
        kernels = LocalKernelManager(
            parent=app,
            log=app.log,
            connection_dir=app.runtime_dir,
            kernel_spec_manager=found,
        )
        specs = LocalKernelSpecs(app, found, kernels.default_kernel_name)
        return LocalBackend(config, kernels, specs, self.store)

    def _browser(self, config: Gateway) -> Backend:
        key = browser_mode_key(config)
        kernels = BrowserKernelManager(
            parent=self._app, log=self._app.log, store=self.store, key=key
        )
        return BrowserBackend(config, kernels)


def _adopting(backend: GatewayBackend) -> Callable[[str], Awaitable[None]]:
    async def use(key: str) -> None:
        backend.gateway.key = key
        await backend.adopt_stored()

    return use
