"""The add-on for a Kernel Gateway (3 or later): a personality, named by its ``api`` option."""

from __future__ import annotations

import os
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.kernels.handlers import _kernel_action_regex, _kernel_id_regex
from kernel_gateway.jupyter_websocket import JupyterWebsocketPersonality
from kernel_gateway.mixins import TokenAuthorizationMixin
from kernel_gateway.services.kernels.handlers import default_handlers
from kernel_gateway.services.kernelspecs.handlers import default_handlers as spec_handlers

from .addon import Kind, handler_for
from .jupyter_server import check_kernel, enter
from .routes import routes

KIND = Kind(
    name="kernel-gateway",
    rest=(TokenAuthorizationMixin, APIHandler),
    channels=handler_for("/channels", default_handlers),
    kernels=handler_for("/kernels", default_handlers),
    kernel=handler_for("/" + _kernel_id_regex, default_handlers),
    action=handler_for("/" + _kernel_action_regex, default_handlers),
    kernelspecs=handler_for("/kernelspecs", spec_handlers),
    asks_for_token=lambda handler: bool(handler.settings["kg_auth_token"]),
    check_kernel=check_kernel,
    enter=enter,
)


class TicketPersonality(JupyterWebsocketPersonality):
    """The stock personality, with our routes before its own."""

    def create_request_handlers(self) -> list[Any]:
        """Return all routes; called by the gateway at start."""
        ours = routes(KIND, self.parent.base_url, self.log, os.environ)
        return [*ours, *super().create_request_handlers()]


def create_personality(*args: Any, **kwargs: Any) -> TicketPersonality:
    """Make the personality; called by the gateway, which has been given this module's name."""
    return TicketPersonality(*args, **kwargs)
