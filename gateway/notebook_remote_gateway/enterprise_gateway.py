"""The add-on for an Enterprise Gateway (3.3 or later): an authorizer that adds the routes.

Enterprise Gateway loads no extensions; its authorizer is the only object of a configurable class
that it creates at start. It runs on jupyter_server 1.
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

from .addon import GatewayAdapter, find_handler
from .routes import routes


def set_user(handler: Any, name: str, user: Any) -> None:
    """Set the user of a request; see ``GatewayAdapter.set_user``."""
    handler.current_user = user or name


ADAPTER = GatewayAdapter(
    kind="enterprise-gateway",
    rest_bases=(TokenAuthorizationMixin, APIHandler),
    channels_handler=find_handler("/channels", default_handlers),
    kernels_handler=find_handler("/kernels", default_handlers),
    kernel_handler=find_handler("/" + _kernel_id_regex, default_handlers),
    kernel_action_handler=find_handler("/" + _kernel_action_regex, default_handlers),
    kernelspecs_handler=MainKernelSpecHandler,
    requires_token=lambda handler: bool(handler.settings["eg_auth_token"]),
    # The gateway's own check also finds the kernels of other replicas that share them.
    check_kernel=lambda manager, kernel_id: manager.check_kernel_id(kernel_id),
    set_user=set_user,
)


class AddsRoutes:
    """Mixin that adds the routes when it is created; put it before an authorizer of your own."""

    parent: Any
    log: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.parent.authorized_origin:
            raise SystemExit(
                "notebook-remote-gateway: --EnterpriseGatewayApp.authorized_origin requires a"
                " client certificate, which a page with a ticket does not have. Use one of the two."
            )
        rules = routes(ADAPTER, self.parent.base_url, self.log, os.environ)
        # The web application is created after the authorizer. This callback runs before the
        # first request is read.
        IOLoop.current().add_callback(lambda: self.parent.web_app.add_handlers(".*$", rules))


class TicketAuthorizer(AddsRoutes, AllowAllAuthorizer):
    """The stock authorizer, which allows everything to every client that has the token."""
