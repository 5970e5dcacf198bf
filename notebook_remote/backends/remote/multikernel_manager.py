"""All our kernels on a gateway, behind the interface that jupyter_server has for local ones."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from jupyter_server._tz import utcnow
from jupyter_server.prometheus.metrics import KERNEL_CURRENTLY_RUNNING_TOTAL
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Callable as Callable_
from traitlets import Instance, default

from ...concurrency import SingleFlight
from ...exceptions import (
    GatewayError,
    GatewayUnreachable,
    KernelExists,
    KernelNotFound,
    StartCancelled,
)
from ...types import JsonObject
from .gateway import ManagedGateway
from .kernel_manager import MISSING, RemoteKernelManager
from .starts import Start

KERNELS_AT_ONCE = 50  # that are looked through without a pause
PARALLEL_LOOKS = 8  # requests at once when a gateway must be asked for each kernel
TAKE_BACK_PAUSE = 0.5  # seconds between two attempts to shut down a kernel that may come up
STOP_TIMEOUT = 3.0  # seconds for all kernels together when the server stops


class RemoteMappingKernelManager(AsyncMappingKernelManager):
    """All our kernels on one gateway. Only those that were started here, or adopted, are ours.

    RoutedKernelManager calls it for its gateway. A task looks at the gateway
    every ``Gateway.poll_interval`` seconds while there are kernels, so that one that was culled
    or has died there is noticed: its channels are closed and it is dropped from the lists.
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
        self._looking = SingleFlight("look at the kernels", self._look_at_all)
        self._watching: asyncio.Task[None] | None = None
        self._env_starts = asyncio.Lock()
        self._start_slots = asyncio.Semaphore(self.gateway.config.max_concurrent_starts)
        self.starts: dict[str, Start] = {}  # that are under way, by the kernel's id
        self._second_looks: set[asyncio.Task[None]] = set()
        self._taken_back: dict[asyncio.Task[None], str] = {}
        self.kept: set[str] = set()  # kernels that go on running when this server stops

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
        # Chosen here, so that a start whose answer is lost can be taken back.
        kernel_id = kernel_id or self.new_kernel_id()
        kernel = self._new_kernel(kernel_name or self.default_kernel_name)
        start = Start(kernel_id, kernel.kernel_name, document)
        start.task = asyncio.create_task(
            self._start(kernel, start, path, env or {}), name=f"start {kernel_id}"
        )
        self.starts[kernel_id] = start
        try:
            await asyncio.shield(start.task)
        except asyncio.CancelledError:
            start.task.cancel()
            if start.cancelled:
                raise StartCancelled("The start of the kernel was cancelled.") from None
            raise
        finally:
            self.starts.pop(kernel_id, None)
        self._add(kernel)
        self.log.info("Kernel started: %s (%s)", kernel.kernel_id, kernel.kernel_name)
        # A gateway may have chosen another id; a server that is killed now needs to have it.
        await self.gateway.store.flush()
        return str(kernel.kernel_id)

    async def _start(
        self, kernel: RemoteKernelManager, start: Start, path: str | None, env: dict[str, str]
    ) -> None:
        kernel_id = start.kernel_id
        await self.gateway.ready()  # before that the store has no key for it
        body: JsonObject = {"kernel_id": kernel_id}
        if path is not None:
            body["path"] = path
        folder = None if path is None else self.cwd_for_path(path)
        kernel_env = await self.gateway.kernel_env(env, folder, kernel_id)
        if kernel_env:
            body["env"] = kernel_env
        # Two gateways mix up the environments of starts that overlap (the Kernel Gateway's
        # handler patches its kernel manager for the time of a request).
        alone = self._env_starts if "env" in body else contextlib.nullcontext()
        async with self._start_slots, alone:
            start.sent = True
            self._note(kernel_id, kernel.kernel_name)
            await self.gateway.store.flush()
            try:
                await kernel.start_kernel(body=body)
            except (GatewayUnreachable, asyncio.CancelledError) as error:
                if getattr(error, "request_sent", True):
                    self._take_back(kernel_id)
                else:
                    self._forget(kernel_id)
                raise
            except GatewayError:
                self._forget(kernel_id)
                raise
            finally:
                self.starts.pop(kernel_id, None)  # another has its turn now
        if kernel.kernel_id != kernel_id:  # it has chosen another
            self._note(kernel.kernel_id, kernel.kernel_name)
            self._forget(kernel_id)
        self.gateway.store.confirm_kernel(kernel.kernel_id)

    def cancel_start(self, kernel_id: str) -> None:
        """Give up a start. A kernel that still comes up is shut down. Raises 404."""
        start = self.starts.get(kernel_id)
        if start is None or start.task is None:
            raise KernelNotFound(f"No kernel {kernel_id} is being started (any more).")
        start.cancelled = True
        start.task.cancel()

    async def cancel_starts(self) -> None:
        """Give up all starts; kernels that still come up are shut down, as far as there is time."""
        starts = [start for start in self.starts.values() if start.task is not None]
        for start in starts:
            self.cancel_start(start.kernel_id)
        tasks = [start.task for start in starts if start.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refuse_existing(self, kernel_id: str) -> None:
        """A kernel that is there already is ours, or somebody else's; neither is started."""
        if kernel_id not in self:
            try:
                await self.gateway.client.kernel(kernel_id)
            except KernelNotFound:
                return
        raise KernelExists(f"A kernel with the id {kernel_id} runs already: choose another id.")

    def _take_back(self, kernel_id: str) -> None:
        """Shut down a kernel whose start got no answer, if and when it comes up."""
        task = asyncio.create_task(self._taking_back(kernel_id), name=f"take back {kernel_id}")
        self._taken_back[task] = kernel_id
        task.add_done_callback(lambda done: self._taken_back.pop(done, None))

    async def all_taken_back(self) -> None:
        """Wait until no start is being taken back any more."""
        await asyncio.gather(*self._taken_back, return_exceptions=True)

    async def _taking_back(self, kernel_id: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.gateway.config.start_timeout + STOP_TIMEOUT
        while loop.time() < deadline:
            try:
                await self.gateway.client.shutdown(kernel_id)
            except GatewayError:  # noqa: PERF203 - not up yet, or not reachable
                await asyncio.sleep(TAKE_BACK_PAUSE)
            else:
                self._forget(kernel_id)
                self.log.info(
                    "Kernel %s, whose start was given up, has come up and was shut down.", kernel_id
                )
                return
        self.log.warning(
            "Kernel %s, whose start was given up, may still come up on the gateway.", kernel_id
        )

    def adopt(self, models: list[JsonObject]) -> None:
        """Take kernels that run on the gateway as ours, or what it says of those that are."""
        for model in models:
            kernel: RemoteKernelManager | None = self._kernels.get(str(model["id"]))
            if kernel is not None:
                kernel.take(model)
                continue
            kernel = self._new_kernel(str(model.get("name", "")))
            kernel.take(model)
            self._note(kernel.kernel_id, kernel.kernel_name)
            self._add(kernel)
            self.log.info("Kernel found again: %s (%s)", kernel.kernel_id, kernel.kernel_name)

    async def adopt_stored(self) -> None:
        """Take the kernels of an earlier server on this directory as ours.

        Called when the gateway is there: at start, or when it is added.

        Whether the gateway still has them is asked at the first look, and it is theirs to say.
        """
        store, key = self.gateway.store, self.gateway.key
        await store.adopt(key)
        stored = store.kernels(key)
        self.adopt(
            [{"id": k.kernel_id, "name": k.name, "execution_state": "unknown"} for k in stored]
        )
        self.kept |= {k.kernel_id for k in stored if k.kept}
        # Their start may be under way still: the server before had no answer.
        deadline = time.monotonic() + self.gateway.config.start_timeout
        for kernel in stored:
            if not kernel.answered and kernel.kernel_id in self._kernels:
                self._kernels[kernel.kernel_id].awaited_until = deadline

    def keep(self, kernel_id: str, kept: bool) -> None:
        """Choose whether a kernel goes on running when this server stops. Raises 404."""
        self._ours(kernel_id)
        (self.kept.add if kept else self.kept.discard)(kernel_id)
        self.gateway.store.keep_kernel(kernel_id, kept)

    def is_kept(self, kernel_id: str) -> bool:
        """Whether a kernel goes on running when this server stops."""
        return self.gateway.config.on_exit == "keep" or kernel_id in self.kept

    def _note(self, kernel_id: str, name: str) -> None:
        self.gateway.store.add_kernel(kernel_id, name, self.gateway.key)

    def _forget(self, kernel_id: str) -> None:
        self.gateway.store.drop_kernel(kernel_id)

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
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="watch the gateway's kernels")

    # -- what the handlers call -----------------------------------------------------------------

    async def kernel_model(self, kernel_id: str) -> JsonObject:
        """The model as of the last look at the gateway. Raises 404 for a kernel not ours."""
        return self._ours(kernel_id).model()

    def known_model(self, kernel_id: str) -> JsonObject | None:
        """The same, or None for a kernel not ours; for lists of many."""
        kernel: RemoteKernelManager | None = self._kernels.get(kernel_id)
        return kernel.model() if kernel is not None else None

    async def fresh_kernel_model(self, kernel_id: str) -> JsonObject:
        """The model, asked now. Raises KernelNotFound or, when it cannot be asked, 503 or 424."""
        kernel = self._ours(kernel_id)
        if not await self._look(kernel):
            raise GatewayUnreachable(MISSING)
        return kernel.model()

    async def list_kernels(self) -> list[JsonObject]:
        """The models of all our kernels: *unknown* while the gateway cannot be asked.

        They stay in the list: without them the pages would drop kernels that are alive.
        """
        with contextlib.suppress(GatewayError):
            await self.refresh()
        return self.known_models()

    def known_models(self) -> list[JsonObject]:
        """The same, as of the last look at the gateway."""
        return [kernel.model() for kernel in self._kernels.values()]

    async def shutdown_kernel(
        self, kernel_id: str, now: bool = False, restart: bool = False
    ) -> None:
        """Shut a kernel down. While the gateway does not answer it stays ours, and this raises."""
        kernel = self._ours(kernel_id)
        await kernel.shutdown_kernel(now=now, restart=restart)
        self.log.info("Kernel shut down: %s", kernel_id)
        if kernel.unconfirmed:
            self._later(self._shut_down_again(kernel_id), f"shut down {kernel_id} again")
        self._drop(kernel)
        self._forget(kernel_id)

    async def restart_kernel(self, kernel_id: str, now: bool = False, **kwargs: Any) -> None:
        """Restart a kernel."""
        kernel = self._ours(kernel_id)
        try:
            await kernel.restart_kernel(now=now)
        except KernelNotFound:
            self._look_again(kernel)
            raise GatewayUnreachable(MISSING) from None
        except GatewayError:
            # The page says "restarting" until its socket connects again.
            self.gateway.links.close(kernel_id)
            raise
        self.log.info("Kernel restarted: %s", kernel_id)

    async def interrupt_kernel(self, kernel_id: str) -> None:
        """Interrupt a kernel."""
        kernel = self._ours(kernel_id)
        try:
            await kernel.interrupt_kernel()
        except KernelNotFound:
            self._look_again(kernel)
            raise GatewayUnreachable(MISSING) from None
        self.log.info("Kernel interrupted: %s", kernel_id)

    def leave(self) -> None:
        """Look at the gateway no longer; its kernels go on running. Called when it is removed."""
        if self._watching is not None:
            self._watching.cancel()
        for task in self._second_looks:
            task.cancel()
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
            await self._shutdown_on_gateway([k for k in kernels if k.kernel_id not in kept])
        else:
            await self.cancel_starts()
            ending = [*(kernel.kernel_id for kernel in kernels), *self._taken_back.values()]
            for task in list(self._taken_back):
                task.cancel()
            for kernel_id in ending:
                self._forget(kernel_id)
        self.leave()

    async def _shutdown_on_gateway(self, kernels: list[RemoteKernelManager]) -> None:
        tasks: dict[asyncio.Task[Any], str] = {
            asyncio.create_task(k.shutdown_kernel(), name=f"shut down {k.kernel_id}"): k.kernel_id
            for k in kernels
        }
        await self.cancel_starts()
        tasks |= self._taken_back
        left = []
        if tasks:
            done, pending = await asyncio.wait(tasks, timeout=STOP_TIMEOUT)
            for task in pending:
                task.cancel()
            left = [tasks[t] for t in done if t.exception()] + [tasks[t] for t in pending]
            for task in done:
                if not task.exception():
                    self._forget(tasks[task])
        if left:
            self.log.warning(
                "Not shut down, because the gateway at %s did not confirm it: %s. They may still"
                " run there.",
                self.gateway.address.url,
                ", ".join(sorted(left)),
            )

    async def cull_kernels(self) -> None:
        """Cull idle kernels, judged by what the gateway says of them now."""
        try:
            await self.look()
        except GatewayError:
            return  # the watch has logged it; no kernel is culled on old information
        await super().cull_kernels()

    # -- looking at the gateway -----------------------------------------------------------------

    async def refresh(self) -> None:
        """Look at the gateway, unless that was done within ``poll_interval``; for lists.

        However many pages ask for lists, a gateway is asked no more often. Raises GatewayError.
        """
        if self._kernels:
            await self._looking.recent(self.gateway.config.poll_interval)

    async def look(self) -> None:
        """Ask the gateway for all our kernels. Raises GatewayError."""
        if self._kernels:
            await self._looking.fresh()

    async def _look_at_all(self) -> None:
        try:
            await self._ask_for_all()
        except GatewayError as error:
            self.gateway.note_outcome(error)
            raise
        self.gateway.note_outcome(None)

    async def _ask_for_all(self) -> None:
        listed = await self.gateway.client.kernels()
        by_id = {str(model.get("id")): model for model in listed or ()}
        unlisted = []
        for count, (kernel_id, kernel) in enumerate(list(self._kernels.items())):
            if count % KERNELS_AT_ONCE == 0:
                await asyncio.sleep(0)  # let messages pass in between
            if kernel_id in by_id:
                self._confirm(kernel)
                kernel.missing = False
                if kernel.take(by_id[kernel_id]):
                    self._note_activity(kernel)
            else:
                unlisted.append(kernel)
        # Listing may be forbidden or incomplete (replicas): only a 404 for the kernel counts.
        limit = asyncio.Semaphore(PARALLEL_LOOKS)

        async def look(kernel: RemoteKernelManager) -> None:
            async with limit:
                await self._look(kernel)

        await asyncio.gather(*(look(kernel) for kernel in unlisted))

    async def _look(self, kernel: RemoteKernelManager) -> bool:
        """Ask for one kernel; drop it if it is gone. Returns whether the gateway has it."""
        if await kernel.is_alive():
            self._confirm(kernel)
            self._note_activity(kernel)
            return True
        if time.monotonic() >= kernel.awaited_until:
            self._look_again(kernel)
        return False

    def _look_again(self, kernel: RemoteKernelManager) -> None:
        """Ask once more, some seconds later, whether a kernel is gone: only that ends it here."""
        if not kernel.missing:
            kernel.missing = True
            self._later(self._second_look(kernel), f"ask for {kernel.kernel_id} again")

    def _later(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._second_looks.add(task)
        task.add_done_callback(self._second_looks.discard)

    async def _shut_down_again(self, kernel_id: str) -> None:
        """Shut down what the replica that was asked first did not know."""
        with contextlib.suppress(GatewayError):
            if not await self.gateway.client.is_gone(kernel_id):
                await self.gateway.client.shutdown(kernel_id)

    async def _second_look(self, kernel: RemoteKernelManager) -> None:
        try:
            gone = await self.gateway.client.is_gone(kernel.kernel_id)
        except GatewayError:
            gone = False  # the next look tells
        # No other look has found it meanwhile.
        if gone and kernel.missing and kernel.kernel_id in self._kernels:
            self._lost(kernel)
        kernel.missing = False

    def _confirm(self, kernel: RemoteKernelManager) -> None:
        """Its gateway has it: from now on a 404 means that it is gone."""
        if kernel.awaited_until:
            self.gateway.store.confirm_kernel(kernel.kernel_id)
        kernel.awaited_until = 0.0

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.gateway.config.poll_interval)
            try:
                await self.look()
            except GatewayError:
                pass  # noted; the next look may succeed
            except Exception:
                self.log.exception("Looking at the gateway's kernels failed")

    def _note_activity(self, kernel: RemoteKernelManager) -> None:
        self._kernel_connections[kernel.kernel_id] = kernel.connections
        self.last_kernel_activity = max(self.last_kernel_activity, kernel.last_activity)

    def _lost(self, kernel: RemoteKernelManager) -> None:
        self.log.warning("Kernel %s is gone from its gateway: culled, or died.", kernel.kernel_id)
        self._drop(kernel)
        self._forget(kernel.kernel_id)
        self.gateway.links.gone(
            kernel.kernel_id,
            f"The kernel is gone from {self.gateway.config.label}: it was culled or shut down"
            " there, or died. Its variables are lost; the notebook is not.",
        )

    def _drop(self, kernel: RemoteKernelManager) -> None:
        if self._kernels.pop(kernel.kernel_id, None) is not None:
            for tell in list(kernel.when_gone):
                tell(f"The kernel {kernel.kernel_id} is gone: it was shut down, or has died.")
            self.kept.discard(kernel.kernel_id)
            KERNEL_CURRENTLY_RUNNING_TOTAL.labels(type=kernel.kernel_name).dec()
            self._kernel_connections.pop(kernel.kernel_id, None)
            self.last_kernel_activity = utcnow()

    def _ours(self, kernel_id: str) -> RemoteKernelManager:
        self._check_kernel_id(kernel_id)
        kernel: RemoteKernelManager = self._kernels[kernel_id]
        return kernel
