"""Our routes, made of the gateway's own handlers."""

from __future__ import annotations

import logging
import re
from collections.abc import MutableMapping
from typing import Any

from tornado.routing import PathMatches, Rule

from .addon import AddOn, Kind
from .channels import RedeemsTickets, TicketElsewhere, TicketElsewhereHandler
from .pass_handlers import (
    PassHandler,
    PassHandlerOfGateway,
    PassKernelsHandler,
    PassTicketHandler,
    ProbeHandler,
)
from .settings import Settings, SettingsError
from .ticket_handlers import TicketHandler

KERNEL_ID = r"(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)"  # as in the gateways' own routes
ACTION = r"(?P<action>restart|interrupt)"


def routes(
    kind: Kind, base_url: str, log: logging.Logger, environ: MutableMapping[str, str]
) -> list[Rule]:
    """Return the routes of a new add-on, to be put before the gateway's own.

    Called once by each gateway's module, at start. Raises SystemExit with a sentence if a setting
    cannot be meant: a gateway that quietly starts without what it was told is worse than none.
    """
    try:
        addon = AddOn(kind, Settings.take_from(environ), log)
    except SettingsError as error:
        raise SystemExit(f"notebook-remote-gateway: {error}") from None
    prefix = re.escape("/" + base_url.strip("/")) if base_url.strip("/") else ""

    def rule(path: str, ours: type, *bases: type) -> Rule:
        handler = type(ours.__name__, (ours, *bases), {"addon": addon})
        return Rule(PathMatches(f"{prefix}/api/{path}$"), handler)

    more: dict[str, Any] = {"addon": addon}
    log.info("notebook-remote-gateway: tickets for the channels of this %s's kernels", kind.name)
    return [
        rule("notebook-remote", ProbeHandler, *kind.rest),
        rule(f"kernels/{KERNEL_ID}/channels/ticket", TicketHandler, *kind.rest),
        rule(f"kernels/{KERNEL_ID}/channels", RedeemsTickets, kind.channels),
        rule("notebook-remote/pass", PassHandler, *kind.rest),
        rule("notebook-remote/kernelspecs", PassHandlerOfGateway, kind.kernelspecs),
        rule("notebook-remote/kernels", PassKernelsHandler, kind.kernels),
        rule(f"notebook-remote/kernels/{KERNEL_ID}", PassHandlerOfGateway, kind.kernel),
        rule(f"notebook-remote/kernels/{KERNEL_ID}/{ACTION}", PassHandlerOfGateway, kind.action),
        rule(f"notebook-remote/kernels/{KERNEL_ID}/channels/ticket", PassTicketHandler, *kind.rest),
        Rule(TicketElsewhere(), TicketElsewhereHandler, more),
    ]
