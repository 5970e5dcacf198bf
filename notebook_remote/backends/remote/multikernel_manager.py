"""All our kernels on a gateway, behind the interface that jupyter_server has for local ones."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import datetime
from typing import Any

from jupyter_server._tz import utcnow
from jupyter_server.prometheus.metrics import KERNEL_CURRENTLY_RUNNING_TOTAL
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Callable as Callable_
from traitlets import Instance, default

from ...exceptions import GatewayError, GatewayUnreachable, KernelExists, KernelNotFound
from ...types import JsonObject
from .gateway import ManagedGateway
from .kernel_manager import MISSING, RemoteKernelManager
from .polling import KernelPoller
from .starts import KernelStarts, Start

STOP_TIMEOUT = 3.0  # seconds for all kernels together when the server stops


class RemoteMappingKernelManager(AsyncMappingKernelManager):
    """All our kernels on one gateway: those that were started here, or adopted.

    RoutedKernelManager calls it for its gateway. ``starts`` starts kernels, and the poller notices
    a kernel that was culled or has died on the gateway: then its channels are closed and it is
    dropped from the lists.
    """

    last_kernel_activity: datetime
    gateway = Instance(ManagedGateway)
    client_factory = Callable_()  # makes a kernel's client, for programs within this server

    @default("kernel_manager_class")
    def _default_kernel_manager_class(self) -> str:
        return f"{RemoteKernelManager.__module__}.{RemoteKernelManager.__qualname__}"

    @default("shared_context")
    def _default_shared_context(self) -> bool:
        return False  # there is no ZMQ on this side

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.starts = KernelStarts(self.gateway, self.log)
        self._poller = KernelPoller(
            self.gateway,
            self._kernels,
            self.log,
            on_update=self._note_activity,
            on_gone=self._on_kernel_gone,
        )
        self.kept_kernels: set[str] = set()  # kernels that go on running when this server stops

    # -- starting and adopting ----------------------------------------------------------------

    async def start_kernel(
        self,
        *,
        kernel_id: str | None = None,
        path: str | None = None,
        kernel_name: str | None = None,
        env: dict[str, str] | None = None,
        document: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Start a kernel for the document in folder ``path`` (an API path) and return its id.

        Called by the kernels and sessions handlers; ``document`` is the API path of the document
        itself. Raises GatewayError.
        """
        if kernel_id is not None:
            await self._refuse_existing(kernel_id)
        # The id is chosen here, so that a start whose answer is lost can be aborted.
        kernel_id = kernel_id or self.new_kernel_id()
        kernel = self._new_kernel(kernel_name or self.default_kernel_name)
        folder = None if path is None else self.cwd_for_path(path)
        start = Start(kernel_id, kernel.kernel_name, document, path, folder, env or {})
        await self.starts.run(kernel, start)
        self._add(kernel)
        self.log.info("Kernel started: %s (%s)", kernel.kernel_id, kernel.kernel_name)
        # A gateway may have chosen another id; a server that is killed now needs to have it.
        await self.gateway.store.flush()
        return str(kernel.kernel_id)

    async def _refuse_existing(self, kernel_id: str) -> None:
        """Raise KernelExists for the id of a kernel that runs already, ours or somebody else's."""
        if kernel_id not in self:
            try:
                await self.gateway.client.kernel(kernel_id)
            except KernelNotFound:
                return
        raise KernelExists(f"A kernel with the id {kernel_id} runs already: choose another id.")

    def adopt(self, models: list[JsonObject]) -> None:
        """Take kernels that run on the gateway as ours; update those that are ours already."""
        for model in models:
            kernel: RemoteKernelManager | None = self._kernels.get(str(model["id"]))
            if kernel is not None:
                kernel.apply_model(model)
                continue
            kernel = self._new_kernel(str(model.get("name", "")))
            kernel.apply_model(model)
            self.gateway.store_kernel(kernel.kernel_id, kernel.kernel_name)
            self._add(kernel)
            self.log.info("Kernel adopted: %s (%s)", kernel.kernel_id, kernel.kernel_name)

    async def adopt_stored(self) -> None:
        """Take the kernels of an earlier server on this directory as ours.

        Called when the gateway is there: at start, or when it is added. Whether the gateway still
        has them, the first poll finds out.
        """
        store, key = self.gateway.store, self.gateway.key
        await store.adopt(key)
        stored = store.kernels(key)
        self.adopt(
            [{"id": k.kernel_id, "name": k.name, "execution_state": "unknown"} for k in stored]
        )
        self.kept_kernels |= {k.kernel_id for k in stored if k.kept}
        # A start to which the earlier server had no answer may still be under way.
        deadline = time.monotonic() + self.gateway.config.start_timeout
        for kernel in stored:
            if not kernel.answered and kernel.kernel_id in self._kernels:
                self._kernels[kernel.kernel_id].start_deadline = deadline

    def keep(self, kernel_id: str, kept: bool) -> None:
        """Choose whether a kernel goes on running when this server stops. Raises 404."""
        self._get(kernel_id)
        (self.kept_kernels.add if kept else self.kept_kernels.discard)(kernel_id)
        self.gateway.store.keep_kernel(kernel_id, kept)

    def is_kept(self, kernel_id: str) -> bool:
        """Whether a kernel goes on running when this server stops."""
        return self.gateway.config.on_exit == "keep" or kernel_id in self.kept_kernels

    def _new_kernel(self, kernel_name: str) -> RemoteKernelManager:
        # Not the configured kernel_manager_class: that one is for the gateway's side.
        return RemoteKernelManager(
            parent=self,
            log=self.log,
            kernel_name=kernel_name,
            kernel_spec_manager=self.kernel_spec_manager,
            gateway=self.gateway,
        )

    def _add(self, kernel: RemoteKernelManager) -> None:
        self._kernels[kernel.kernel_id] = kernel
        self._kernel_connections[kernel.kernel_id] = 0
        if not kernel.ready.done():
            kernel.ready.set_result(None)
        KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=kernel.kernel_name).inc()
        if not self._initialized_culler:
            self.initialize_culler()
        self._poller.start()

    # -- what the handlers call -----------------------------------------------------------------

    async def kernel_model(self, kernel_id: str) -> JsonObject:
        """The model as of the last poll. Raises 404 for a kernel that is not ours."""
        return self._get(kernel_id).model()

    def cached_model(self, kernel_id: str) -> JsonObject | None:
        """The model as of the last poll; None for a kernel that is not ours. For long lists."""
        kernel: RemoteKernelManager | None = self._kernels.get(kernel_id)
        return kernel.model() if kernel is not None else None

    async def fresh_kernel_model(self, kernel_id: str) -> JsonObject:
        """The model, requested now. Raises KernelNotFound and other GatewayErrors."""
        kernel = self._get(kernel_id)
        if not await self._poller.poll_kernel(kernel):
            raise GatewayUnreachable(MISSING)
        return kernel.model()

    async def list_kernels(self) -> list[JsonObject]:
        """The models of all our kernels: *unknown* while the gateway cannot be reached.

        They stay in the list: without them the pages would drop kernels that are alive.
        """
        with contextlib.suppress(GatewayError):
            await self.refresh()
        return self.cached_models()

    def cached_models(self) -> list[JsonObject]:
        """The models of all our kernels as of the last poll."""
        return [kernel.model() for kernel in self._kernels.values()]

    async def refresh(self) -> None:
        """Poll the gateway, unless that was done within ``poll_interval``. Raises GatewayError.

        So the number of pages that request lists does not matter to the gateway.
        """
        await self._poller.refresh()

    async def shutdown_kernel(
        self, kernel_id: str, now: bool = False, restart: bool = False
    ) -> None:
        """Shut a kernel down. While the gateway does not answer it stays ours, and this raises."""
        kernel = self._get(kernel_id)
        await kernel.shutdown_kernel(now=now, restart=restart)
        self.log.info("Kernel shut down: %s", kernel_id)
        if kernel.shutdown_unconfirmed:
            self._poller.recheck_shutdown(kernel_id)
        self._drop(kernel)
        self.gateway.store.drop_kernel(kernel_id)

    async def restart_kernel(self, kernel_id: str, now: bool = False, **kwargs: Any) -> None:
        """Restart a kernel."""
        kernel = self._get(kernel_id)
        try:
            await kernel.restart_kernel(now=now)
        except KernelNotFound:
            self._poller.recheck(kernel)
            raise GatewayUnreachable(MISSING) from None
        except GatewayError:
            # The page says "restarting" until its socket connects again.
            self.gateway.links.close(kernel_id)
            raise
        self.log.info("Kernel restarted: %s", kernel_id)

    async def interrupt_kernel(self, kernel_id: str) -> None:
        """Interrupt a kernel."""
        kernel = self._get(kernel_id)
        try:
            await kernel.interrupt_kernel()
        except KernelNotFound:
            self._poller.recheck(kernel)
            raise GatewayUnreachable(MISSING) from None
        self.log.info("Kernel interrupted: %s", kernel_id)

    async def cull_kernels(self) -> None:
        """Cull idle kernels, by their current state at the gateway."""
        try:
            await self._poller.poll()
        except GatewayError:
            return  # logged already; no kernel is culled on old information
        await super().cull_kernels()

    # -- the end --------------------------------------------------------------------------------

    def leave(self) -> None:
        """Poll no more; the kernels go on running. Called when the gateway is removed."""
        self._poller.stop()
        for kernel in list(self._kernels.values()):
            self.gateway.links.forget(kernel.kernel_id)
            self._drop(kernel)

    async def shutdown_all(self, now: bool = False) -> None:
        """Shut all kernels down within STOP_TIMEOUT seconds; called when the server stops.

        What could not be shut down is logged with its id. The kernels of an embedded gateway end
        with it, unless some are to be kept.
        """
        kernels: list[RemoteKernelManager] = list(self._kernels.values())
        kept = {kernel.kernel_id for kernel in kernels if self.is_kept(kernel.kernel_id)}
        if kept:
            name = self.gateway.config.name
            ids = ", ".join(sorted(kept))
            self.log.info("These kernels keep running on the gateway %r: %s", name, ids)
        if kept or not self.gateway.config.embedded:
            await self._shut_down([k for k in kernels if k.kernel_id not in kept])
        else:
            await self.starts.cancel_all()
            self.starts.forget_aborts()
            for kernel in kernels:
                self.gateway.store.drop_kernel(kernel.kernel_id)
        self.leave()

    async def _shut_down(self, kernels: list[RemoteKernelManager]) -> None:
        tasks: dict[asyncio.Task[Any], str] = {
            asyncio.create_task(k.shutdown_kernel(), name=f"shut down {k.kernel_id}"): k.kernel_id
            for k in kernels
        }
        await self.starts.cancel_all()
        tasks |= self.starts.aborts
        if not tasks:
            return
        done, pending = await asyncio.wait(tasks, timeout=STOP_TIMEOUT)
        for task in pending:
            task.cancel()
        failed = [tasks[task] for task in done if task.exception()]
        for task in done:
            if not task.exception():
                self.gateway.store.drop_kernel(tasks[task])
        may_run = failed + [tasks[task] for task in pending]
        if may_run:
            self.log.warning(
                "Not shut down, because the gateway at %s did not confirm it: %s. They may still"
                " run there.",
                self.gateway.address.url,
                ", ".join(sorted(may_run)),
            )

    # -- changes to a kernel ----------------------------------------------------------------------

    def _note_activity(self, kernel: RemoteKernelManager) -> None:
        self._kernel_connections[kernel.kernel_id] = kernel.connections
        self.last_kernel_activity = max(self.last_kernel_activity, kernel.last_activity)

    def _on_kernel_gone(self, kernel: RemoteKernelManager) -> None:
        self.log.warning("Kernel %s is gone from its gateway: culled, or died.", kernel.kernel_id)
        self._drop(kernel)
        self.gateway.store.drop_kernel(kernel.kernel_id)
        self.gateway.links.on_kernel_gone(
            kernel.kernel_id,
            f"The kernel is gone from {self.gateway.config.label}: it was culled or shut down"
            " there, or died. Its variables are lost; the notebook is not.",
        )

    def _drop(self, kernel: RemoteKernelManager) -> None:
        if self._kernels.pop(kernel.kernel_id, None) is not None:
            for callback in list(kernel.gone_callbacks):
                callback(f"The kernel {kernel.kernel_id} is gone: it was shut down, or has died.")
            self.kept_kernels.discard(kernel.kernel_id)
            KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=kernel.kernel_name).dec()
            self._kernel_connections.pop(kernel.kernel_id, None)
            self.last_kernel_activity = utcnow()

    def _get(self, kernel_id: str) -> RemoteKernelManager:
        """One of our kernels. Raises 404."""
        self._check_kernel_id(kernel_id)
        kernel: RemoteKernelManager = self._kernels[kernel_id]
        return kernel
