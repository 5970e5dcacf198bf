"""The add-on for a Kernel Gateway (3 or later): a personality, which its ``api`` option names."""

from __future__ import annotations

import os
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.kernels.handlers import _kernel_action_regex, _kernel_id_regex
from kernel_gateway.jupyter_websocket import JupyterWebsocketPersonality
from kernel_gateway.mixins import TokenAuthorizationMixin
from kernel_gateway.services.kernels.handlers import default_handlers
from kernel_gateway.services.kernelspecs.handlers import default_handlers as spec_handlers

from .addon import GatewayAdapter, find_handler
from .jupyter_server import check_kernel, set_user
from .routes import routes

ADAPTER = GatewayAdapter(
    kind="kernel-gateway",
    rest_bases=(TokenAuthorizationMixin, APIHandler),
    channels_handler=find_handler("/channels", default_handlers),
    kernels_handler=find_handler("/kernels", default_handlers),
    kernel_handler=find_handler("/" + _kernel_id_regex, default_handlers),
    kernel_action_handler=find_handler("/" + _kernel_action_regex, default_handlers),
    kernelspecs_handler=find_handler("/kernelspecs", spec_handlers),
    requires_token=lambda handler: bool(handler.settings["kg_auth_token"]),
    check_kernel=check_kernel,
    set_user=set_user,
)


class TicketPersonality(JupyterWebsocketPersonality):
    """The stock personality, with the add-on's routes before its own."""

    def create_request_handlers(self) -> list[Any]:
        """Return all routes; called by the gateway at start."""
        addon_routes = routes(ADAPTER, self.parent.base_url, self.log, os.environ)
        return [*addon_routes, *super().create_request_handlers()]


def create_personality(*args: Any, **kwargs: Any) -> TicketPersonality:
    """Return the personality; called by the gateway whose ``api`` option names this module."""
    return TicketPersonality(*args, **kwargs)
