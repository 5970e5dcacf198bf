"""The add-on for a Jupyter Server (2 or later)."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

from jupyter_server import CallContext
from jupyter_server.auth import User
from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.kernels.handlers import (
    KernelActionHandler,
    KernelHandler,
    MainKernelHandler,
)
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from jupyter_server.services.kernelspecs.handlers import MainKernelSpecHandler
from tornado.web import HTTPError

from .addon import Kind
from .routes import routes


def enter(handler: Any, name: str, user: Any) -> None:
    """Set who the user of a request is; see ``Kind.enter``."""
    CallContext.set(CallContext.JUPYTER_HANDLER, handler)
    handler.current_user = handler._jupyter_current_user = user or User(name)


def check_kernel(manager: Any, kernel_id: str) -> None:
    """Raise HTTPError 404 for a kernel that is not there; see ``Kind.check_kernel``."""
    if kernel_id not in manager:
        raise HTTPError(404, f"Kernel does not exist: {kernel_id}")


KIND = Kind(
    name="jupyter-server",
    rest=(APIHandler,),
    channels=KernelWebsocketHandler,
    kernels=MainKernelHandler,
    kernel=KernelHandler,
    action=KernelActionHandler,
    kernelspecs=MainKernelSpecHandler,
    asks_for_token=lambda handler: bool(handler.identity_provider.auth_enabled),
    check_kernel=check_kernel,
    enter=enter,
)


def install(serverapp: Any, environ: MutableMapping[str, str] = os.environ) -> None:
    """Add our routes to a server app, once its ``web_app`` is there.

    For apps that load no extensions. ``environ`` has our settings; the key is taken out of it.
    """
    rules = routes(KIND, serverapp.base_url, serverapp.log, environ)
    serverapp.web_app.add_handlers(".*$", rules)


def load(serverapp: Any) -> None:
    """Add our routes to a server that has the extension enabled; called by it at start."""
    if type(serverapp).__module__.startswith("notebook_remote."):
        # Its own channels lead to a gateway; ours would be in front of them.
        serverapp.log.info("notebook-remote-gateway: not loaded, since this server is no gateway")
        return
    install(serverapp)
