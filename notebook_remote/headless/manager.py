"""jupyter_client's kernel managers, async and blocking, for kernels on the configured gateways.

For nbclient, nbconvert, papermill and whatever else takes a ``kernel_manager_class``, and for
programs of one's own. The configuration is that of ``jupyter notebook-remote``. What happens
towards the gateway does so in a thread of its own (``background``).
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

SOON = 2.0  # seconds that nobody needs an explanation for
NO_GATEWAY = (
    "No gateway is configured: give one with the environment variable JUPYTER_GATEWAY_URL, or in"
    " jupyter_notebook_remote_config.py, as for `jupyter notebook-remote`."
)


class GatewayManagerMixin(KernelManager):
    """What both managers have in common: one kernel on one of the configured gateways."""

    kernel_name = Unicode(
        "",
        help="The kernel to start: a name as in `jupyter notebook-remote`, such as python3 or"
        " python3@gpu. Empty: the default one of the only gateway.",
    )

    def __init__(self, gateways: list[Gateway] | None = None, **kwargs: Any) -> None:
        """``gateways`` are those to choose from; None stands for the configured ones."""
        super().__init__(**kwargs)
        self._gateways = gateways
        self._background: EventLoopThread | None = None
        self._started: Future[HeadlessKernel] | None = None
        self._pid = os.getpid()
        self._start_limit = 0.0  # seconds that a start takes at most
        self.orphaned_kernels = False  # whether a kernel could not be shut down; the log says why

    @property
    def background(self) -> EventLoopThread:
        """Where everything towards the gateway happens; asked by clients. Raises RuntimeError."""
        if self._background is None:
            raise RuntimeError("No kernel is running!")
        if self._is_forked():
            raise RuntimeError(
                "This kernel belongs to the process that this one was forked from: start one here."
            )
        return self._background

    @property
    def kernel(self) -> HeadlessKernel:
        """The kernel. Raises RuntimeError when there is none, or its start's error."""
        if self._started is None or not self._started.done():
            raise RuntimeError("No kernel is running!")
        return self._started.result()

    @property
    def has_kernel(self) -> bool:
        """Whether a kernel was started and not shut down; asked by nbclient."""
        started = self._started
        return started is not None and started.done() and started.exception() is None

    @property
    def kernel_spec(self) -> KernelSpec | None:
        """None: it is the gateway's."""
        return None

    # -- a kernel's life, as jupyter_client names it ----------------------------------------------

    async def _async_start_kernel(self, **kwargs: Any) -> None:
        """Start it. ``cwd`` and ``env`` go to the gateway, what else there is does not.

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
        self._started = self._background.submit(
            start_kernel(
                gateways, self.kernel_name, None if folder is None else str(folder), env, self.log
            )
        )
        self._shut_down_at_exit()
        try:
            started = asyncio.shield(asyncio.wrap_future(self._started))
            self.kernel_id = (await started).kernel_id
        except (Exception, asyncio.CancelledError):  # once it has started it is shut down
            await self._async_cleanup_resources()
            raise

    async def _async_shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        """Shut it down. What went wrong with that is in the log, not raised."""
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
        """Shut it down if that was not done, and let go of everything.

        If this is broken off, the end of the program does it. A process that was forked from the
        one that started it only forgets it.
        """
        started, background = self._started, self._background
        if background is not None and not self._is_forked():
            with contextlib.suppress(Exception):  # that of its start is known already
                if started is not None:
                    kernel = await asyncio.shield(asyncio.wrap_future(started))
                    self.orphaned_kernels = not await background.run(kernel.close())
            background.stop()
        self._forget()

    def _forget(self) -> None:
        self._started = self._background = None
        atexit.unregister(self.end)

    # -- the end of the program -------------------------------------------------------------------

    def end(self) -> None:
        """Shut the kernel down when there is no event loop (any more); called at exit.

        For a start that is under way too.
        """
        started, background = self._started, self._background
        self._forget()
        if started is None or background is None or self._is_forked():
            return
        try:
            kernel = self._wait_for_start(started)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the program has to end
            if isinstance(error, (FutureTimeout, KeyboardInterrupt)):
                self.orphaned_kernels = True
                sys.stderr.write("The kernel that was being started may come up on its gateway.\n")
        else:
            gone = shut_down_at_exit(kernel.gateway, kernel.kernel_id, self.log)
            self.orphaned_kernels = not gone
        background.stop()

    def _wait_for_start(self, started: Future[HeadlessKernel]) -> HeadlessKernel:
        """The kernel of a start that may be under way: it cannot be taken back before it is done.

        Raises its error, and TimeoutError.
        """
        with contextlib.suppress(FutureTimeout):
            return started.result(SOON)
        sys.stderr.write(
            "The kernel is still being started; it is shut down as soon as it is there, within"
            f" {self._start_limit:.0f} s.\n"
        )
        return started.result(self._start_limit)

    def _is_forked(self) -> bool:
        """Whether this process was forked from the one that has the kernel and the thread."""
        return os.getpid() != self._pid

    def _shut_down_at_exit(self) -> None:
        """Leave no kernel behind when the program ends, or is told to by SIGTERM."""
        atexit.register(self.end)
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _leave)

    # -- for clients ------------------------------------------------------------------------------

    def client(self, **kwargs: Any) -> Any:
        """A client for the kernel; more than one is possible."""
        return self.client_factory(parent=self, **kwargs)

    def open_link(self, session: Session, queue: MessageQueue) -> KernelChannels:
        """Open the kernel's channels; called by a client."""

        async def opening() -> KernelChannels:
            return self.kernel.open_link(session, queue)

        return self.background.submit(opening()).result()

    def close_link(self, link: KernelChannels) -> None:
        """Close them; called by a client. They may be closed with the kernel already."""
        if self._background is not None:
            self._background.submit(self.kernel.close_link(link)).result()


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
    """jupyter_client's ``KernelManager``, for a kernel on a gateway: every method waits."""

    client_class = DottedObjectName("notebook_remote.headless.client.BlockingGatewayKernelClient")
    client_factory = Type(BlockingGatewayKernelClient)

    start_kernel = run_sync(GatewayManagerMixin._async_start_kernel)
    shutdown_kernel = run_sync(GatewayManagerMixin._async_shutdown_kernel)
    restart_kernel = run_sync(GatewayManagerMixin._async_restart_kernel)
    interrupt_kernel = run_sync(GatewayManagerMixin._async_interrupt_kernel)
    is_alive = run_sync(GatewayManagerMixin._async_is_alive)
    cleanup_resources = run_sync(GatewayManagerMixin._async_cleanup_resources)


class GatewayNotebookClient(NotebookClient):
    """nbclient's ``NotebookClient``, with a kernel on a gateway unless it is told otherwise."""

    @default("kernel_manager_class")
    def _default_kernel_manager_class(self) -> type[KernelManager]:
        return GatewayKernelManager


def _leave(number: int, frame: object) -> None:
    """End the program as Ctrl-C does, so that whoever has something to tidy up does it: once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)
