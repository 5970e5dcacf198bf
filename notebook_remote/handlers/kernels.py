"""Jupyter's kernels routes with checked input, and the list of links."""

from __future__ import annotations

import json

from jupyter_client.jsonutil import json_default
from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from jupyter_server.services.kernels.handlers import (
    KernelActionHandler,
    KernelHandler,
    MainKernelHandler,
)
from tornado import web

from ..exceptions import BrowserModeOnly
from ..services.kernel_manager import RoutedKernelManager
from .base import CheckedHandler


class RemoteMainKernelHandler(CheckedHandler, MainKernelHandler):
    """``/api/kernels``."""

    body_schema = "JupyterKernelRequest"


class RemoteKernelHandler(CheckedHandler, KernelHandler):
    """``/api/kernels/<id>``."""

    @web.authenticated
    @authorized
    async def get(self, kernel_id: str) -> None:
        """The kernel's model as the gateway gives it now: 503 while it does not answer."""
        manager = self.kernel_manager
        if isinstance(manager, RoutedKernelManager):
            model = await manager.fresh_kernel_model(kernel_id)
        else:
            model = await ensure_async(manager.kernel_model(kernel_id))
        self.finish(json.dumps(model, default=json_default))

    @web.authenticated
    @authorized
    async def delete(self, kernel_id: str) -> None:
        """Shut a kernel down. Raises BrowserModeOnly for one that only pages can shut down."""
        manager = self.kernel_manager
        if isinstance(manager, RoutedKernelManager):
            backend = manager.backends.of_kernel(kernel_id)
            if backend is not None and backend.browser_mode:
                raise BrowserModeOnly
        await super().delete(kernel_id)


class RemoteKernelActionHandler(CheckedHandler, KernelActionHandler):
    """``/api/kernels/<id>/restart`` and ``/interrupt``."""

    @web.authenticated
    @authorized
    async def post(self, kernel_id: str, action: str) -> None:
        """Restart or interrupt a kernel; answer with the error, not with a bare 500."""
        manager = self.kernel_manager
        if action == "interrupt":
            await ensure_async(manager.interrupt_kernel(kernel_id))
            self.set_status(204)
            self.finish()
        else:
            try:
                await ensure_async(manager.restart_kernel(kernel_id))
            except web.HTTPError:
                raise
            except Exception as error:
                self.log.exception("Kernel %s could not be restarted", kernel_id)
                raise web.HTTPError(
                    500, f"The kernel could not be restarted ({error or type(error).__name__})."
                ) from error
            model = await ensure_async(manager.kernel_model(kernel_id))
            self.finish(json.dumps(model, default=json_default))


class KernelUsageHandler(CheckedHandler):
    """The route of jupyter-resource-usage, for kernels on gateways.

    Its handler uses ZeroMQ sockets, which kernels on gateways do not have, every few seconds.
    """

    auth_resource = "kernels"

    @web.authenticated
    @authorized
    async def get(self, kernel_id: str) -> None:
        """Answer that this is not supported, as jupyter-resource-usage does."""
        content = {"reason": "not_supported", "kernel_version": None}
        self.finish(json.dumps({"content": content, "kernel_id": kernel_id}))


class LinksHandler(CheckedHandler):
    """``/notebook-remote/api/links``."""

    auth_resource = "kernels"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Every link between a page and a kernel on a gateway, with its state and traffic."""
        backends = self.kernel_manager.backends
        links = [link for backend in backends for link in backend.links()]
        self.finish(json.dumps(links))
