"""jupyter_client's kernel managers, async and blocking, for kernels on the configured gateways.

For nbclient, nbconvert, papermill and other programs that take a ``kernel_manager_class``. The
configuration is that of ``jupyter notebook-remote``. The connections to the gateway run in a thread
of their own (``background``).
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import sys
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager, KernelManager
from jupyter_client.session import Session
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from traitlets import DottedObjectName, TraitError, Type, Unicode, default

from ..config.base_app import configuration
from ..config.gateway import Gateway
from .channels import KernelChannels
from .client import BlockingGatewayKernelClient, GatewayKernelClient
from .event_loop_thread import EventLoopThread
from .kernel import HeadlessKernel, shut_down_at_exit, start_kernel
from .message_queue import MessageQueue
from .selection import configured_gateways

QUIET_WAIT = 2.0  # seconds to wait at exit before a message says why
NO_GATEWAY = (
    "No gateway is configured: give one with the environment variable JUPYTER_GATEWAY_URL, or in"
    " jupyter_notebook_remote_config.py, as for `jupyter notebook-remote`."
)


class GatewayManagerMixin(KernelManager):
    """Base of both managers: one kernel on one of the configured gateways."""

    kernel_name = Unicode(
        "",
        help="The kernel to start: a name as in `jupyter notebook-remote`, such as python3 or"
        " python3@gpu. Empty: the default one of the only gateway.",
    )

    def __init__(self, gateways: list[Gateway] | None = None, **kwargs: Any) -> None:
        """``gateways`` are those to choose from; None means the configured ones."""
        super().__init__(**kwargs)
        self._gateways = gateways
        self._background: EventLoopThread | None = None
        self._start_future: Future[HeadlessKernel] | None = None
        self._pid = os.getpid()
        self._start_limit = 0.0  # seconds that a start takes at most
        self.has_orphaned_kernel = False  # whether the shutdown failed; the log says why

    @property
    def background(self) -> EventLoopThread:
        """Runs the connections to the gateway; used by clients. Raises RuntimeError."""
        if self._background is None:
            raise RuntimeError("No kernel is running!")
        if self._is_forked():
            raise RuntimeError(
                "This kernel belongs to the process that this one was forked from: start one here."
            )
        return self._background

    @property
    def kernel(self) -> HeadlessKernel:
        """The kernel. Raises RuntimeError if there is none, or the error of its start."""
        if self._start_future is None or not self._start_future.done():
            raise RuntimeError("No kernel is running!")
        return self._start_future.result()

    @property
    def has_kernel(self) -> bool:
        """Whether a kernel was started and not shut down; used by nbclient."""
        started = self._start_future
        return started is not None and started.done() and started.exception() is None

    @property
    def kernel_spec(self) -> KernelSpec | None:
        """None: only the gateway has it."""
        return None

    # -- a kernel's life, as jupyter_client names it ----------------------------------------------

    async def _async_start_kernel(self, **kwargs: Any) -> None:
        """Start it. ``cwd`` and ``env`` are sent to the gateway, other arguments are ignored.

        Raises GatewayError, and TraitError for a configuration that cannot be used.
        """
        gateways = self._gateways
        if gateways is None:
            gateways = configured_gateways(configuration(self.config))
        if not gateways:
            raise TraitError(NO_GATEWAY)
        folder, env = kwargs.get("cwd"), kwargs.get("env") or {}
        self._pid = os.getpid()
        self._start_limit = max(g.start_timeout + g.request_timeout for g in gateways)
        self._background = EventLoopThread(f"kernel {self.kernel_name}")
        self._start_future = self._background.submit(
            start_kernel(
                gateways, self.kernel_name, None if folder is None else str(folder), env, self.log
            )
        )
        self._shut_down_at_exit()
        try:
            started = asyncio.shield(asyncio.wrap_future(self._start_future))
            self.kernel_id = (await started).kernel_id
        except (Exception, asyncio.CancelledError):  # a kernel that still starts is shut down
            await self._async_cleanup_resources()
            raise

    async def _async_shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        """Shut it down. Errors are logged, not raised."""
        await self._async_cleanup_resources()

    async def _async_restart_kernel(
        self, now: bool = False, newports: bool = False, **kwargs: Any
    ) -> None:
        """Restart it at its gateway. Raises GatewayError."""
        await self.background.run(self.kernel.restart())

    async def _async_interrupt_kernel(self) -> None:
        """Interrupt it at its gateway. Raises GatewayError."""
        await self.background.run(self.kernel.interrupt())

    async def _async_is_alive(self) -> bool:
        return self.has_kernel and await self.background.run(self.kernel.is_alive())

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        """Shut the kernel down if that was not done, and release all resources.

        If this is interrupted, ``end`` does it at exit. A process that was forked from the one
        that started the kernel only forgets it.
        """
        started, background = self._start_future, self._background
        if background is not None and not self._is_forked():
            with contextlib.suppress(Exception):  # the error of its start was raised already
                if started is not None:
                    kernel = await asyncio.shield(asyncio.wrap_future(started))
                    self.has_orphaned_kernel = not await background.run(kernel.close())
            background.stop()
        self._forget()

    def _forget(self) -> None:
        self._start_future = self._background = None
        atexit.unregister(self.end)

    # -- the end of the program -------------------------------------------------------------------

    def end(self) -> None:
        """Shut the kernel down without an event loop, also one that is being started.

        Called at exit.
        """
        started, background = self._start_future, self._background
        self._forget()
        if started is None or background is None or self._is_forked():
            return
        try:
            kernel = self._wait_for_start(started)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the program has to end
            if isinstance(error, (FutureTimeout, KeyboardInterrupt)):
                self.has_orphaned_kernel = True
                sys.stderr.write("The kernel that was being started may come up on its gateway.\n")
        else:
            gone = shut_down_at_exit(kernel.gateway, kernel.kernel_id, self.log)
            self.has_orphaned_kernel = not gone
        background.stop()

    def _wait_for_start(self, started: Future[HeadlessKernel]) -> HeadlessKernel:
        """Wait for a start that may be under way, and return its kernel.

        Raises the start's error, and TimeoutError.
        """
        with contextlib.suppress(FutureTimeout):
            return started.result(QUIET_WAIT)
        sys.stderr.write(
            "The kernel is still being started; it is shut down as soon as it is there, within"
            f" {self._start_limit:.0f} s.\n"
        )
        return started.result(self._start_limit)

    def _is_forked(self) -> bool:
        """Whether this process was forked from the one that has the kernel and the thread."""
        return os.getpid() != self._pid

    def _shut_down_at_exit(self) -> None:
        """Have the kernel shut down when the program exits, also by SIGTERM."""
        atexit.register(self.end)
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _leave)

    # -- for clients ------------------------------------------------------------------------------

    def client(self, **kwargs: Any) -> Any:
        """A client for the kernel; more than one is possible."""
        return self.client_factory(parent=self, **kwargs)

    def open_channels(self, session: Session, queue: MessageQueue) -> KernelChannels:
        """Open the kernel's channels; called by a client."""

        async def opening() -> KernelChannels:
            return self.kernel.open_channels(session, queue)

        return self.background.submit(opening()).result()

    def close_channels(self, channels: KernelChannels) -> None:
        """Close a client's channels if the kernel still has them; called by the client."""
        if self._background is not None:
            self._background.submit(self.kernel.close_channels(channels)).result()


class GatewayKernelManager(GatewayManagerMixin, AsyncKernelManager):
    """jupyter_client's ``AsyncKernelManager``, for a kernel on a gateway.

    The ``kernel_manager_class`` for nbclient, nbconvert and papermill.
    """

    client_class = DottedObjectName("notebook_remote.headless.client.GatewayKernelClient")
    client_factory = Type(GatewayKernelClient)

    start_kernel = GatewayManagerMixin._async_start_kernel
    shutdown_kernel = GatewayManagerMixin._async_shutdown_kernel
    restart_kernel = GatewayManagerMixin._async_restart_kernel
    interrupt_kernel = GatewayManagerMixin._async_interrupt_kernel
    is_alive = GatewayManagerMixin._async_is_alive
    cleanup_resources = GatewayManagerMixin._async_cleanup_resources


class BlockingGatewayKernelManager(GatewayManagerMixin):
    """jupyter_client's ``KernelManager``, for a kernel on a gateway: every method blocks."""

    client_class = DottedObjectName("notebook_remote.headless.client.BlockingGatewayKernelClient")
    client_factory = Type(BlockingGatewayKernelClient)

    start_kernel = run_sync(GatewayManagerMixin._async_start_kernel)
    shutdown_kernel = run_sync(GatewayManagerMixin._async_shutdown_kernel)
    restart_kernel = run_sync(GatewayManagerMixin._async_restart_kernel)
    interrupt_kernel = run_sync(GatewayManagerMixin._async_interrupt_kernel)
    is_alive = run_sync(GatewayManagerMixin._async_is_alive)
    cleanup_resources = run_sync(GatewayManagerMixin._async_cleanup_resources)


class GatewayNotebookClient(NotebookClient):
    """nbclient's ``NotebookClient``, with a kernel on a gateway by default."""

    @default("kernel_manager_class")
    def _default_kernel_manager_class(self) -> type[KernelManager]:
        return GatewayKernelManager


def _leave(number: int, frame: object) -> None:
    """Exit at SIGTERM with all clean-up, as for Ctrl-C; a second SIGTERM is ignored."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)
