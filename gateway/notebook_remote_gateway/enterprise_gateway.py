"""The add-on for an Enterprise Gateway (3.3 or later): an authorizer, whose making adds our routes.

Enterprise Gateway loads no extensions, and the authorizer is the only object that it lets us make
at start. It runs on jupyter_server 1.
"""

from __future__ import annotations

import os
from typing import Any

from enterprise_gateway.mixins import TokenAuthorizationMixin
from enterprise_gateway.services.kernels.handlers import default_handlers
from enterprise_gateway.services.kernelspecs.handlers import MainKernelSpecHandler
from jupyter_server.auth.authorizer import AllowAllAuthorizer
from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.kernels.handlers import _kernel_action_regex, _kernel_id_regex
from tornado.ioloop import IOLoop

from .addon import Kind, handler_for
from .routes import routes


def enter(handler: Any, name: str, user: Any) -> None:
    """Set who the user of a request is; see ``Kind.enter``."""
    handler.current_user = user or name


KIND = Kind(
    name="enterprise-gateway",
    rest=(TokenAuthorizationMixin, APIHandler),
    channels=handler_for("/channels", default_handlers),
    kernels=handler_for("/kernels", default_handlers),
    kernel=handler_for("/" + _kernel_id_regex, default_handlers),
    action=handler_for("/" + _kernel_action_regex, default_handlers),
    kernelspecs=MainKernelSpecHandler,
    asks_for_token=lambda handler: bool(handler.settings["eg_auth_token"]),
    # Its own check also looks for kernels of other replicas, where they are shared.
    check_kernel=lambda manager, kernel_id: manager.check_kernel_id(kernel_id),
    enter=enter,
)


class AddsRoutes:
    """Adds our routes when it is made; for an authorizer of your own, put it before your class."""

    parent: Any
    log: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.parent.authorized_origin:
            raise SystemExit(
                "notebook-remote-gateway: --EnterpriseGatewayApp.authorized_origin asks each"
                " client for a certificate, which a page with a ticket does not have. Use one"
                " of the two."
            )
        rules = routes(KIND, self.parent.base_url, self.log, os.environ)
        # The web application is made after us, and the first request is read after this.
        IOLoop.current().add_callback(lambda: self.parent.web_app.add_handlers(".*$", rules))


class TicketAuthorizer(AddsRoutes, AllowAllAuthorizer):
    """The stock authorizer, which allows everything to whoever has the token."""
