"""jupyter_client's client for a kernel on a gateway, for programs within our server.

Extensions such as voila ask a kernel's manager for ``client()`` and use it in the server's event
loop. It is the client of runs without a page, on the server's own connection to the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from jupyter_client.session import Session

from ..backends.remote.kernel_manager import RemoteKernelManager
from ..headless.channels import KernelChannels
from ..headless.client import GatewayKernelClient
from ..headless.message_queue import MessageQueue

T = TypeVar("T")


class ServerLoop:
    """Stands for ``Background`` where the caller is in the event loop already."""

    async def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a job."""
        return await job

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function."""
        function(*args)


class ClientOwner:
    """What a client wants of its kernel's manager; see ``headless_client.Manager``."""

    def __init__(self, kernel: RemoteKernelManager) -> None:
        self._kernel = kernel
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def background(self) -> ServerLoop:
        """The loop in which everything happens."""
        return ServerLoop()

    def open_link(self, session: Session, queue: MessageQueue) -> KernelChannels:
        """Open the kernel's channels."""
        kernel = self._kernel
        link = KernelChannels(kernel.gateway, str(kernel.kernel_id), session, queue, kernel.log)
        kernel.when_gone.append(link.died)
        return link

    def close_link(self, link: KernelChannels) -> None:
        """Close them, soon."""
        self._kernel.when_gone.remove(link.died)
        loop = asyncio.get_running_loop()
        task = loop.create_task(link.close(), name="close a client's channels")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _async_is_alive(self) -> bool:
        return self._kernel.kernel_id in self._kernel.parent


class ServerKernelClient(GatewayKernelClient):
    """jupyter_client's ``AsyncKernelClient`` for a kernel on a gateway, in the server's loop."""

    def __init__(self, kernel: RemoteKernelManager, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._owner = ClientOwner(kernel)

    @property
    def owner(self) -> ClientOwner:
        """Who opens its connections."""
        return self._owner
