"""Asks a gateway regularly for the state of our kernels, and decides that a kernel is gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from ...concurrency import SingleFlight
from ...exceptions import GatewayError
from .gateway import ManagedGateway
from .kernel_manager import RemoteKernelManager

KERNELS_PER_PAUSE = 50  # kernels of a list that are handled before other tasks get a turn
PARALLEL_REQUESTS = 8  # for kernels that are missing in a gateway's list

KernelListener = Callable[[RemoteKernelManager], object]


class KernelPoller:
    """Polls one gateway every ``Gateway.poll_interval`` seconds.

    Listing kernels may be forbidden at a gateway, or incomplete (replicas), and a single 404 may
    come from an ingress or another replica. So a kernel is gone only if the gateway answers 404
    repeatedly, for some seconds (``RestClient.is_gone``): ``on_gone`` is called with it then.
    ``on_update`` is called with a kernel whose state has changed. ``kernels`` has our kernels by
    id, at any time.
    """

    def __init__(
        self,
        gateway: ManagedGateway,
        kernels: Mapping[str, RemoteKernelManager],
        log: logging.Logger,
        *,
        on_update: KernelListener,
        on_gone: KernelListener,
    ) -> None:
        self._gateway, self._kernels, self._log = gateway, kernels, log
        self._on_update, self._on_gone = on_update, on_gone
        self._request = SingleFlight("poll the kernels", self._poll)
        self._loop: asyncio.Task[None] | None = None
        self._rechecks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Poll regularly from now on; called with each new kernel."""
        if self._loop is None:
            self._loop = asyncio.create_task(self._poll_regularly(), name="poll the kernels")

    def stop(self) -> None:
        """Stop polling, and cancel all rechecks."""
        if self._loop is not None:
            self._loop.cancel()
        for task in self._rechecks:
            task.cancel()

    async def refresh(self) -> None:
        """Poll, unless that was done within ``poll_interval``. Raises GatewayError."""
        if self._kernels:
            await self._request.recent(self._gateway.config.poll_interval)

    async def poll(self) -> None:
        """Ask the gateway for all our kernels now. Raises GatewayError."""
        if self._kernels:
            await self._request.fresh()

    async def poll_kernel(self, kernel: RemoteKernelManager) -> bool:
        """Ask for one kernel; return whether the gateway has it. Raises GatewayError."""
        if await kernel.is_alive():
            self._confirm(kernel)
            self._on_update(kernel)
            return True
        if time.monotonic() >= kernel.start_deadline:
            self.recheck(kernel)
        return False

    def recheck(self, kernel: RemoteKernelManager) -> None:
        """Find out whether a kernel is gone for which its gateway has answered 404 once."""
        if not kernel.missing:
            kernel.missing = True
            self._in_background(self._recheck(kernel), f"recheck {kernel.kernel_id}")

    def recheck_shutdown(self, kernel_id: str) -> None:
        """Shut a kernel down again if another replica has it: the first one answered 404."""
        self._in_background(self._shut_down_again(kernel_id), f"shut down {kernel_id} again")

    async def _poll_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._gateway.config.poll_interval)
            try:
                await self.poll()
            except GatewayError:
                pass  # _poll has noted it; the next attempt may succeed
            except Exception:  # noqa: BLE001 - logged, and polling goes on
                self._log.exception("Polling the gateway's kernels failed")

    async def _poll(self) -> None:
        try:
            await self._update_all()
        except GatewayError as error:
            self._gateway.note_outcome(error)
            raise
        self._gateway.note_outcome(None)

    async def _update_all(self) -> None:
        listed = await self._gateway.client.kernels()
        by_id = {str(model.get("id")): model for model in listed or ()}
        unlisted = []
        for count, (kernel_id, kernel) in enumerate(list(self._kernels.items())):
            if count % KERNELS_PER_PAUSE == 0:
                await asyncio.sleep(0)  # other tasks relay messages
            if kernel_id in by_id:
                self._confirm(kernel)
                kernel.missing = False
                if kernel.apply_model(by_id[kernel_id]):
                    self._on_update(kernel)
            else:
                unlisted.append(kernel)
        limit = asyncio.Semaphore(PARALLEL_REQUESTS)

        async def poll_kernel(kernel: RemoteKernelManager) -> None:
            async with limit:
                await self.poll_kernel(kernel)

        await asyncio.gather(*(poll_kernel(kernel) for kernel in unlisted))

    def _confirm(self, kernel: RemoteKernelManager) -> None:
        """The gateway has the kernel: from now on a 404 may mean that it is gone."""
        if kernel.start_deadline:
            self._gateway.store.confirm_kernel(kernel.kernel_id)
        kernel.start_deadline = 0.0

    async def _recheck(self, kernel: RemoteKernelManager) -> None:
        try:
            gone = await self._gateway.client.is_gone(kernel.kernel_id)
        except GatewayError:
            gone = False  # the next poll decides
        # Another request may have found the kernel meanwhile, which resets ``missing``.
        if gone and kernel.missing and kernel.kernel_id in self._kernels:
            self._on_gone(kernel)
        kernel.missing = False

    async def _shut_down_again(self, kernel_id: str) -> None:
        with contextlib.suppress(GatewayError):
            if not await self._gateway.client.is_gone(kernel_id):
                await self._gateway.client.shutdown(kernel_id)

    def _in_background(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._rechecks.add(task)
        task.add_done_callback(self._rechecks.discard)
