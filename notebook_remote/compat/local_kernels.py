"""The kernels of this computer: jupyter_server's manager, with faults of its worked around.

Used in local mode, and in the embedded gateway.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web

from ..kernel_environment import for_kernels
from .signals import STOPPING

END_LIMIT = 2.0  # seconds for all kernels to end by themselves when the server stops
KILL_LIMIT = 0.5  # seconds for those that were killed then


class LocalKernelManager(AsyncMappingKernelManager):
    """All kernels of this computer. Three things differ from the stock class.

    A kernel's environment is this process's, without the settings of gateways; what a session adds
    is added to it, and does not replace it.

    A start that fails leaves nothing behind. The stock class keeps it among its pending kernels,
    and fails in ``shutdown_all`` because of it, which then ends no kernel.

    When the server stops, kernels that are still being started end as well, and those that do not
    end by themselves are killed.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._closed = False
        self._made: weakref.WeakSet[KernelManager] = weakref.WeakSet()

    def pre_start_kernel(
        self, kernel_name: str | None, kwargs: Any
    ) -> tuple[KernelManager, str, str]:
        """Make a kernel's manager; called at each start."""
        if self._closed:
            raise web.HTTPError(503, STOPPING)
        kernel, name, kernel_id = super().pre_start_kernel(kernel_name, kwargs)
        self._made.add(kernel)
        return kernel, name, kernel_id

    async def start_kernel(self, **kwargs: Any) -> str:
        """Start a kernel and return its id; ``env`` are the variables that a session adds."""
        kwargs["env"] = {**for_kernels(), **(kwargs.get("env") or {})}
        try:
            return str(await super().start_kernel(**kwargs))
        finally:
            for kernel_id, task in list(self._pending_kernels.items()):
                if task.done() and kernel_id not in self._kernels:
                    del self._pending_kernels[kernel_id]

    async def shutdown_all(self, now: bool = False) -> None:
        """End all kernels within seconds; called when the server stops."""
        self._closed = True
        ids = {*self.list_kernel_ids(), *self._pending_kernels}
        if ids:
            await asyncio.wait(
                [asyncio.ensure_future(self._end(kernel_id, now)) for kernel_id in ids],
                timeout=END_LIMIT,
            )
        left = [asyncio.ensure_future(self._kill(k)) for k in list(self._made) if k.has_kernel]
        if left:
            await asyncio.wait(left, timeout=KILL_LIMIT)

    async def _end(self, kernel_id: str, now: bool) -> None:
        try:
            if kernel_id not in self._kernels:  # it is being started
                await self._pending_kernels[kernel_id]
            if kernel_id in self._kernels:
                await self.shutdown_kernel(kernel_id, now=now)
        except Exception:
            self.log.exception("Kernel %s was not shut down", kernel_id)

    async def _kill(self, kernel: KernelManager) -> None:
        if kernel.provisioner is not None:
            self.log.warning("Kernel %s does not end by itself: it is killed.", kernel.kernel_id)
            await ensure_async(kernel.provisioner.kill())
            kernel.cleanup_connection_file()
