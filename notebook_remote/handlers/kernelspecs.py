"""Jupyter's kernelspecs routes, and the route of kernelspecs' logos."""

from __future__ import annotations

import json
import mimetypes

from jupyter_server.auth.decorator import authorized
from jupyter_server.services.kernelspecs.handlers import KernelSpecHandler, MainKernelSpecHandler
from tornado import web

from .base import CheckedHandler

LOGO_MAX_AGE = 30 * 24 * 60 * 60  # seconds that browsers cache a logo, as in jupyter_server


class RemoteMainKernelSpecHandler(CheckedHandler, MainKernelSpecHandler):
    """``/api/kernelspecs``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The kernelspecs and the default one, which is known only once they are listed."""
        specs = await self.kernel_spec_manager.get_all_specs()
        default = self.kernel_manager.default_kernel_name
        self.finish(json.dumps({"default": default, "kernelspecs": specs}))


class RemoteKernelSpecHandler(CheckedHandler, KernelSpecHandler):
    """``/api/kernelspecs/<name>``."""


class RemoteKernelSpecResourceHandler(CheckedHandler):
    """``/kernelspecs/<name>/<file>``: the logos.

    Its content security policy is that of the API, so a file of a hostile gateway runs nothing.
    """

    auth_resource = "kernelspecs"

    @web.authenticated
    @authorized
    async def get(self, kernel_name: str, path: str) -> None:
        """The file's content as it comes from the gateway."""
        await self._send(kernel_name, path)

    async def _send(self, kernel_name: str, path: str) -> None:
        try:
            content = await self.kernel_spec_manager.get_kernel_spec_resource(kernel_name, path)
        except KeyError:  # NoSuchKernel
            content = None
        if content is None:
            raise web.HTTPError(404, f"The kernelspec {kernel_name!r} has no file {path!r}.")
        if path.lower().endswith(".png"):
            self.set_header("Cache-Control", f"max-age={LOGO_MAX_AGE}")
        kind = mimetypes.guess_type(path)[0] or "text/plain"
        self.finish(content, set_content_type=kind)

    @web.authenticated
    @authorized
    async def head(self, kernel_name: str, path: str) -> None:
        """The headers of ``get``; tornado omits the content."""
        await self._send(kernel_name, path)
