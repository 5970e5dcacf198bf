"""The add-on's routes, in front of the gateway's own."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

from tornado.routing import PathMatches, Rule

from .addon import AddOn, GatewayAdapter
from .channels import MisplacedTicketHandler, MisplacedTicketMatcher, TicketChannelsMixin
from .exceptions import SettingsError
from .pass_handlers import PassAuthMixin, PassHandler, PassKernelsHandler, PassTicketHandler
from .settings import Settings
from .ticket_handlers import FeaturesHandler, TicketHandler

KERNEL_ID = r"(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)"  # as in the gateways' own routes
ACTION = r"(?P<action>restart|interrupt)"


def routes(
    gateway: GatewayAdapter, base_url: str, log: logging.Logger, environ: MutableMapping[str, str]
) -> list[Rule]:
    """Return the routes of a new add-on, which must be matched before the gateway's own.

    Called once by each gateway's module, at start. Raises SystemExit with a message if a setting
    is invalid: a gateway that ignored it would run with security settings that nobody chose.
    """
    try:
        addon = AddOn(gateway, Settings.from_environment(environ), log)
    except SettingsError as error:
        raise SystemExit(f"notebook-remote-gateway: {error}") from None
    prefix = re.escape("/" + base_url.strip("/")) if base_url.strip("/") else ""

    def rule(path: str, mixin: type, *bases: type) -> Rule:
        handler = type(mixin.__name__, (mixin, *bases), {"addon": addon})
        return Rule(PathMatches(f"{prefix}/api/{path}$"), handler)

    rest = gateway.rest_bases
    kernel = f"notebook-remote/kernels/{KERNEL_ID}"
    target_kwargs: dict[str, Any] = {"addon": addon}
    log.info("notebook-remote-gateway: tickets for the channels of this %s's kernels", gateway.kind)
    return [
        rule("notebook-remote", FeaturesHandler, *rest),
        rule(f"kernels/{KERNEL_ID}/channels/ticket", TicketHandler, *rest),
        rule(f"kernels/{KERNEL_ID}/channels", TicketChannelsMixin, gateway.channels_handler),
        rule("notebook-remote/pass", PassHandler, *rest),
        rule("notebook-remote/kernelspecs", PassAuthMixin, gateway.kernelspecs_handler),
        rule("notebook-remote/kernels", PassKernelsHandler, gateway.kernels_handler),
        rule(kernel, PassAuthMixin, gateway.kernel_handler),
        rule(f"{kernel}/{ACTION}", PassAuthMixin, gateway.kernel_action_handler),
        rule(f"{kernel}/channels/ticket", PassTicketHandler, *rest),
        Rule(MisplacedTicketMatcher(), MisplacedTicketHandler, target_kwargs),
    ]
