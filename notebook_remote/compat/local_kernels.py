"""The manager of kernels on this computer: jupyter_server's, with workarounds for faults.

For local mode and the embedded gateway.
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

SHUTDOWN_TIMEOUT = 2.0  # seconds for all kernels to shut down when the server stops
KILL_TIMEOUT = 0.5  # seconds for killed kernels to end


class LocalKernelManager(AsyncMappingKernelManager):
    """All kernels of this computer. Three things differ from the stock class.

    A kernel's environment is that of this process without our settings. The variables of a session
    are added to it, and do not replace it.

    A failed start is removed from the pending kernels. In the stock class it stays, so that
    ``shutdown_all`` fails and shuts down no kernel.

    When the server stops, starting kernels are shut down as well, and kernels that do not end in
    time are killed.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._closed = False
        self._kernel_managers: weakref.WeakSet[KernelManager] = weakref.WeakSet()

    def pre_start_kernel(
        self, kernel_name: str | None, kwargs: Any
    ) -> tuple[KernelManager, str, str]:
        """Create a kernel's manager; called at each start."""
        if self._closed:
            raise web.HTTPError(503, STOPPING)
        kernel, name, kernel_id = super().pre_start_kernel(kernel_name, kwargs)
        self._kernel_managers.add(kernel)
        return kernel, name, kernel_id

    async def start_kernel(self, **kwargs: Any) -> str:
        """Start a kernel and return its id; ``env`` are variables of the session."""
        kwargs["env"] = {**for_kernels(), **(kwargs.get("env") or {})}
        try:
            return str(await super().start_kernel(**kwargs))
        finally:
            for kernel_id, task in list(self._pending_kernels.items()):
                if task.done() and kernel_id not in self._kernels:
                    del self._pending_kernels[kernel_id]

    async def shutdown_all(self, now: bool = False) -> None:
        """Shut down all kernels within seconds; called when the server stops."""
        self._closed = True
        ids = {*self.list_kernel_ids(), *self._pending_kernels}
        if ids:
            await asyncio.wait(
                [asyncio.ensure_future(self._shut_down(kernel_id, now)) for kernel_id in ids],
                timeout=SHUTDOWN_TIMEOUT,
            )
        kills = [
            asyncio.ensure_future(self._kill(k))
            for k in list(self._kernel_managers)
            if k.has_kernel
        ]
        if kills:
            await asyncio.wait(kills, timeout=KILL_TIMEOUT)

    async def _shut_down(self, kernel_id: str, now: bool) -> None:
        try:
            if kernel_id not in self._kernels:  # it is starting
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
