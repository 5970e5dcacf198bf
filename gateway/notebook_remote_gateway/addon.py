"""What the handlers share: the adapter to one kind of gateway, and the add-on's state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .passes import PassManager
from .rate_limit import TokenBucket
from .settings import Settings
from .tickets import TicketManager
from .validation import sanitize_for_log


def find_handler(path_suffix: str, handlers: list[Any]) -> type:
    """Return a gateway's handler of the path with this suffix, from a list of its routes."""
    found: type = next(route[1] for route in handlers if route[0].endswith(path_suffix))
    return found


@dataclass(frozen=True)
class GatewayAdapter:
    """Everything in which the three kinds of gateway differ."""

    kind: str  # as in responses and in README.md
    rest_bases: tuple[
        type, ...
    ]  # base classes of a REST handler, with the gateway's authentication
    # The gateway's own handlers.
    channels_handler: type
    kernels_handler: type
    kernel_handler: type
    kernel_action_handler: type
    kernelspecs_handler: type
    # Whether the gateway authenticates requests; called with a handler, for each request for a
    # ticket or pass.
    requires_token: Callable[[Any], bool]
    # Raises HTTPError 404 for an unknown kernel; called with the kernel manager and an id.
    check_kernel: Callable[[Any, str], None]
    # Sets the user of a request without the identity provider. Called with a handler, the user's
    # name, and the gateway's own object for the user if this process issued the ticket or pass.
    set_user: Callable[[Any, str, Any], None]


class AddOn:
    """The state of the add-on in one gateway process; its handlers have it as ``addon``."""

    def __init__(self, gateway: GatewayAdapter, settings: Settings, log: logging.Logger) -> None:
        self.gateway, self.settings, self.log = gateway, settings, log
        self.tickets = TicketManager(settings.key, settings.lifetime)
        self.passes = PassManager(settings.key, settings.pass_lifetime)
        self.rate_limit = TokenBucket(settings.rate, settings.burst)
        # Concurrent starts with an ``env`` get each other's: a fault of Kernel Gateway and
        # Enterprise Gateway.
        self.start_lock = asyncio.Lock()

    def audit(self, event: str, outcome: str, kernel: str, origin: str | None, user: str) -> None:
        """Log the outcome of a request: one line, without secrets. README.md has the events."""
        fields = (event, outcome, *map(sanitize_for_log, (kernel, origin, user)))
        self.log.info("notebook-remote-gateway %s outcome=%s kernel=%s origin=%s user=%s", *fields)
