"""Starts kernels on a gateway, and aborts starts so that they leave no unknown kernel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field

from ...exceptions import GatewayError, GatewayUnreachable, KernelNotFound, StartCancelled
from ...types import JsonObject
from .gateway import ManagedGateway
from .kernel_manager import RemoteKernelManager

ABORT_RETRY_INTERVAL = 0.5  # seconds between two attempts to shut down a kernel that may come up
ABORT_MARGIN = 3.0  # seconds after Gateway.start_timeout for which an aborted kernel is looked for


@dataclass
class Start:
    """A kernel that is being started."""

    kernel_id: str
    name: str  # of its kernelspec
    document: str | None  # its API path
    path: str | None = None  # of the folder to start in, as an API path
    folder: str | None = None  # the same on this computer
    env: dict[str, str] = field(default_factory=dict)
    requested_at: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None
    sent: bool = False  # whether the request was sent to the gateway; before, it is in the queue
    cancelled: bool = False  # by a user

    def model(self) -> JsonObject:
        """The start as our REST API shows it; ``seconds`` since it was requested."""
        return {
            "id": self.kernel_id,
            "name": self.name,
            "document": self.document,
            "state": "starting" if self.sent else "waiting",
            "seconds": round(time.monotonic() - self.requested_at, 1),
        }


class KernelStarts:
    """The starts under way on one gateway, of which a limited number runs at the same time."""

    def __init__(self, gateway: ManagedGateway, log: logging.Logger) -> None:
        self._gateway, self._log = gateway, log
        self._slots = asyncio.Semaphore(gateway.config.max_concurrent_starts)
        self._env_lock = asyncio.Lock()
        self.pending: dict[str, Start] = {}  # by the kernel's id
        self.aborts: dict[asyncio.Task[None], str] = {}  # ids of the kernels that they shut down

    async def run(self, kernel: RemoteKernelManager, start: Start) -> None:
        """Start a kernel and wait for it. Raises StartCancelled, GatewayError.

        When the caller is cancelled, the start is aborted.
        """
        task = asyncio.create_task(self._run(kernel, start), name=f"start {start.kernel_id}")
        start.task = task
        self.pending[start.kernel_id] = start
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            if start.cancelled:
                raise StartCancelled("The start of the kernel was cancelled.") from None
            raise
        finally:
            self.pending.pop(start.kernel_id, None)

    async def _run(self, kernel: RemoteKernelManager, start: Start) -> None:
        gateway, kernel_id = self._gateway, start.kernel_id
        await gateway.ready()  # which also gives an embedded gateway its key in the store
        body: JsonObject = {"kernel_id": kernel_id}
        if start.path is not None:
            body["path"] = start.path
        kernel_env = await gateway.kernel_env(start.env, start.folder, kernel_id)
        if kernel_env:
            body["env"] = kernel_env
        # Two gateways mix up the environments of starts that overlap (the Kernel Gateway's
        # handler patches its kernel manager for the time of a request).
        alone = self._env_lock if "env" in body else contextlib.nullcontext()
        async with self._slots, alone:
            start.sent = True
            gateway.store_kernel(kernel_id, kernel.kernel_name)
            await gateway.store.flush()
            try:
                await kernel.start_kernel(body=body)
            except (GatewayUnreachable, asyncio.CancelledError) as error:
                if getattr(error, "request_sent", True):
                    self._abort(kernel_id)
                else:
                    gateway.store.drop_kernel(kernel_id)
                raise
            except GatewayError:
                gateway.store.drop_kernel(kernel_id)
                raise
            finally:
                self.pending.pop(kernel_id, None)
        if kernel.kernel_id != kernel_id:  # the gateway has chosen another id
            gateway.store_kernel(kernel.kernel_id, kernel.kernel_name)
            gateway.store.drop_kernel(kernel_id)
        gateway.store.confirm_kernel(kernel.kernel_id)

    def cancel(self, kernel_id: str) -> None:
        """Cancel a start. If the kernel comes up all the same, it is shut down. Raises 404."""
        start = self.pending.get(kernel_id)
        if start is None or start.task is None:
            raise KernelNotFound(f"No kernel {kernel_id} is being started (any more).")
        start.cancelled = True
        start.task.cancel()

    async def cancel_all(self) -> None:
        """Cancel all starts; kernels that come up all the same are shut down, if time allows."""
        starts = [start for start in self.pending.values() if start.task is not None]
        for start in starts:
            self.cancel(start.kernel_id)
        tasks = [start.task for start in starts if start.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- aborting a start -------------------------------------------------------------------------

    def _abort(self, kernel_id: str) -> None:
        """Shut down a kernel whose start got no answer, as soon as it is up."""
        task = asyncio.create_task(self._shut_down_when_up(kernel_id), name=f"abort {kernel_id}")
        self.aborts[task] = kernel_id
        task.add_done_callback(lambda done: self.aborts.pop(done, None))

    async def wait_for_aborts(self) -> None:
        """Wait until all aborted starts have come to their end."""
        await asyncio.gather(*self.aborts, return_exceptions=True)

    def forget_aborts(self) -> None:
        """Shut down no kernels of aborted starts: they end with their embedded gateway."""
        for task, kernel_id in list(self.aborts.items()):
            task.cancel()
            self._gateway.store.drop_kernel(kernel_id)

    async def _shut_down_when_up(self, kernel_id: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._gateway.config.start_timeout + ABORT_MARGIN
        while loop.time() < deadline:
            try:
                await self._gateway.client.shutdown(kernel_id)
            except GatewayError:  # noqa: PERF203 - not up yet, or not reachable
                await asyncio.sleep(ABORT_RETRY_INTERVAL)
            else:
                self._gateway.store.drop_kernel(kernel_id)
                self._log.info(
                    "Kernel %s, whose start was aborted, has come up and was shut down.", kernel_id
                )
                return
        self._log.warning(
            "Kernel %s, whose start was aborted, may still come up on the gateway.", kernel_id
        )
