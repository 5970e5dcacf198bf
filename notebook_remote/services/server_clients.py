"""jupyter_client's client for a kernel on a gateway, for programs within our server.

Extensions such as voila call ``client()`` of a kernel's manager and use it in the server's event
loop. It is the client of runs without a page, over the server's connection to the gateway.
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
    """Replaces ``EventLoopThread`` for callers in the server's own event loop."""

    async def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a job."""
        return await job

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function."""
        function(*args)


class ClientOwner:
    """The owner of a client's connections; see ``headless.client.ChannelsOwner``."""

    def __init__(self, kernel: RemoteKernelManager) -> None:
        self._kernel = kernel
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def background(self) -> ServerLoop:
        """The loop that runs the connections."""
        return ServerLoop()

    def open_channels(self, session: Session, queue: MessageQueue) -> KernelChannels:
        """Open the kernel's channels."""
        kernel = self._kernel
        channels = KernelChannels(kernel.gateway, str(kernel.kernel_id), session, queue, kernel.log)
        kernel.gone_callbacks.append(channels.died)
        return channels

    def close_channels(self, channels: KernelChannels) -> None:
        """Close the kernel's channels, in the background."""
        self._kernel.gone_callbacks.remove(channels.died)
        loop = asyncio.get_running_loop()
        task = loop.create_task(channels.close(), name="close a client's channels")
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
        """What opens its connections."""
        return self._owner
