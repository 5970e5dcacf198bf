"""Makes, starts, changes and stops the backends of a server."""

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
from ..config.gateway import CREDENTIALS, Gateway
from ..config.named import Gateways
from ..embedded.kernel_config import kernel_config
from ..embedded.supervisor import EmbeddedGateway
from ..net.urls import same_server
from ..storage.saved_gateways import Options, SavedGateways
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

ADOPT_INTERVAL = 60.0  # seconds until kernels of a server on another computer are adopted


class BackendManager:
    """Makes and holds the backends of a server app, which is the parent of their managers."""

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
        self.added: dict[str, Options] = {}  # the gateways that were added in pages, by name
        self.examining = asyncio.Lock()  # the doctor examines one gateway at a time
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
        """Make the configured backends, and those that were added in pages of earlier servers."""
        for config in configured:
            self.add(config)
        known = {backend.name for backend in self.backends}
        for config, options in self.saved.gateways(self._gateways, known):
            self.add(config)
            self.added[config.name] = options

    def configure(self, name: str, options: Options) -> Gateway:
        """The configuration of a gateway that a page wants to add. Raises TraitError."""
        config = self._gateways.make_for_page(name, options)
        if config.mode not in ("proxy", "direct"):
            raise TraitError(
                "The mode of a gateway that is added here is 'proxy' or 'direct'; for 'browser' add"
                " it in the configuration, with --gateway=NAME=URL and the variable"
                " NOTEBOOK_REMOTE_<NAME>_MODE=browser."
            )
        return config

    def add_named(self, name: str, options: Options) -> Backend:
        """Make and start a backend while the server runs. Raises TraitError.

        The name of a configured gateway that was removed adds it again as it is configured.
        """
        config = self.configure(name, options)
        if config.from_page:
            self.added[name] = dict(options)
        backend = self.add(config)
        self._in_background(self.start(backend), f"start {name}")
        self.on_change()
        return backend

    async def change_address(self, name: str, options: Options) -> Backend:
        """Use an added gateway at another address, with its kernels. Raises TraitError.

        Credentials go along to another path of the same server only: else whoever may change the
        address could have credentials that somebody else has entered sent to a server of his own.
        """
        before, old_options = self.backends.get(name), dict(self.added[name])
        target = self.configure(name, {**old_options, **options}).url
        if before is not None and same_server(before.config.url, target):
            credentials = before.credentials()
            old_options |= {key: credentials[key] for key in CREDENTIALS if credentials.get(key)}
        else:
            old_options = {k: v for k, v in old_options.items() if k not in CREDENTIALS}
        merged = {**old_options, **options}
        config = self.configure(name, merged)
        await self._leave(self.backends.remove(name))
        self.added[name] = merged
        backend = self.add(config)
        self._in_background(self.start(backend), f"start {name}")
        self.on_change()
        return backend

    def _in_background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run a coroutine in the background; it is cancelled when the server stops."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def add(self, config: Gateway) -> Backend:
        """Make a backend, which is to be started with ``start``. Raises TraitError."""
        makers = {"local": self._make_local, "browser": self._make_browser}
        backend = makers.get(config.mode, self._make_gateway)(config)
        self.backends.add(backend)
        return backend

    async def start(self, backend: Backend) -> None:
        """Start a backend: adopt the kernels of earlier servers, and start an embedded gateway.

        Called once the event loop runs.
        """
        if isinstance(backend, GatewayBackend) and backend.config.embedded and self._embedded:
            self._embedded.start(
                on_address=backend.gateway.use_address,
                on_searched=self._search_done(backend, self._embedded),
                on_used=_use_key(backend),
                on_found=backend.kernels.adopt,
            )
            return
        try:
            await backend.adopt_stored()
        finally:
            backend.adopted.set()
        while await asyncio.to_thread(self.store.is_used_elsewhere):
            await asyncio.sleep(ADOPT_INTERVAL)
            await backend.adopt_stored()

    def _search_done(
        self, backend: Backend, embedded: EmbeddedGateway
    ) -> Callable[[], Awaitable[None]]:
        """For the end of the search for embedded gateways of earlier servers."""

        async def forget() -> None:
            backend.adopted.set()
            await self.store.forget_gateways(embedded.is_gone)

        return forget

    async def remove(self, name: str) -> None:
        """Stop using a gateway; its kernels stay in the store."""
        backend = self.backends.remove(name)
        self.added.pop(name, None)
        self.on_change()
        await self._leave(backend)

    async def _leave(self, backend: Backend) -> None:
        """Stop using a backend. Its starts under way are cancelled."""
        await backend.leave()
        self._in_background(self._close(backend), f"leave {backend.name}")

    async def _close(self, backend: Backend) -> None:
        try:
            await backend.wait_for_aborts()
        finally:
            await backend.close()

    async def stop(self) -> None:
        """Stop an embedded gateway, unless it has kernels to keep, and close all backends."""
        for task in self._tasks:
            task.cancel()
        try:
            for backend in self.backends:
                if backend.config.embedded and self._embedded is not None:
                    has_kernels = bool(self.store.kernels(backend.key))
                    await (self._embedded.detach() if has_kernels else self._embedded.stop())
            await asyncio.gather(
                *(backend.close() for backend in self.backends), return_exceptions=True
            )
        finally:
            self.store.close()

    def _make_gateway(self, config: Gateway) -> Backend:
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

    def _make_local(self, config: Gateway) -> Backend:
        app = self._app
        configured = app.config.ServerApp.get("kernel_spec_manager_class")
        spec_class = app.kernel_spec_manager_class if configured else KernelSpecManager
        spec_manager = spec_class(parent=app)
        kernels = LocalKernelManager(
            parent=app,
            log=app.log,
            connection_dir=app.runtime_dir,
            kernel_spec_manager=spec_manager,
        )
        specs = LocalKernelSpecs(app, spec_manager, kernels.default_kernel_name)
        return LocalBackend(config, kernels, specs, self.store)

    def _make_browser(self, config: Gateway) -> Backend:
        key = browser_mode_key(config)
        kernels = BrowserKernelManager(
            parent=self._app, log=self._app.log, store=self.store, key=key
        )
        return BrowserBackend(config, kernels)


def _use_key(backend: GatewayBackend) -> Callable[[str], Awaitable[None]]:
    """For an embedded gateway that was started or found: its key in the store is known now."""

    async def use(key: str) -> None:
        backend.gateway.key = key
        await backend.adopt_stored()

    return use
