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

from .addon import GatewayAdapter
from .routes import routes


def set_user(handler: Any, name: str, user: Any) -> None:
    """Set the user of a request; see ``GatewayAdapter.set_user``."""
    CallContext.set(CallContext.JUPYTER_HANDLER, handler)
    handler.current_user = handler._jupyter_current_user = user or User(name)


def check_kernel(manager: Any, kernel_id: str) -> None:
    """Raise HTTPError 404 for an unknown kernel; see ``GatewayAdapter.check_kernel``."""
    if kernel_id not in manager:
        raise HTTPError(404, f"Kernel does not exist: {kernel_id}")


ADAPTER = GatewayAdapter(
    kind="jupyter-server",
    rest_bases=(APIHandler,),
    channels_handler=KernelWebsocketHandler,
    kernels_handler=MainKernelHandler,
    kernel_handler=KernelHandler,
    kernel_action_handler=KernelActionHandler,
    kernelspecs_handler=MainKernelSpecHandler,
    requires_token=lambda handler: bool(handler.identity_provider.auth_enabled),
    check_kernel=check_kernel,
    set_user=set_user,
)


def install(serverapp: Any, environ: MutableMapping[str, str] = os.environ) -> None:
    """Add the add-on's routes to a server app that has its ``web_app``.

    For apps that load no extensions. ``environ`` has the settings; the key is removed from it.
    """
    rules = routes(ADAPTER, serverapp.base_url, serverapp.log, environ)
    serverapp.web_app.add_handlers(".*$", rules)


def load(serverapp: Any) -> None:
    """Add the add-on's routes to a server that has the extension enabled; called at its start."""
    if type(serverapp).__module__.startswith("notebook_remote."):
        # A notebook server relays its channels to a gateway; the add-on's would hide these.
        serverapp.log.info("notebook-remote-gateway: not loaded: this server is not a gateway")
        return
    install(serverapp)
