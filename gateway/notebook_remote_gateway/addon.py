"""What the handlers share: the kind of gateway they are part of, and one add-on for a process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .passes import PassOffice
from .rate_limit import Bucket
from .settings import Settings
from .tickets import TicketOffice
from .validation import printable

PARAM = "nr_token"


def handler_for(ending: str, handlers: list[Any]) -> type:
    """Return a gateway's handler of the path that ends so, from a list of its routes."""
    found: type = next(route[1] for route in handlers if route[0].endswith(ending))
    return found


@dataclass(frozen=True)
class Kind:
    """A gateway's own parts, as far as the three gateways differ."""

    name: str  # as in our answers and in the documentation
    rest: tuple[type, ...]  # base classes of a REST handler, with the gateway's authentication
    channels: type  # its handler of a kernel's channels; the next are its other handlers
    kernels: type
    kernel: type
    action: type
    kernelspecs: type
    # Whether requests are authenticated at all; asked for each request to make a ticket.
    asks_for_token: Callable[[Any], bool]
    # Raises HTTPError 404 for a kernel that it does not have; called with its kernel manager.
    check_kernel: Callable[[Any, str], None]
    # Sets who the user is, without the identity provider; called when a ticket is redeemed, with
    # his name and, if the ticket was made in this process, the gateway's own object for him.
    enter: Callable[[Any, str, Any], None]


class AddOn:
    """The add-on of one gateway process; owned by its handlers."""

    def __init__(self, kind: Kind, settings: Settings, log: logging.Logger) -> None:
        self.kind, self.settings, self.log = kind, settings, log
        self.tickets = TicketOffice(settings.key, settings.lifetime)
        self.passes = PassOffice(settings.key, settings.pass_lifetime)
        self.bucket = Bucket(settings.rate, settings.burst)
        # Starts with an ``env`` must not overlap: Kernel and Enterprise Gateway mix them up.
        self.start_lock = asyncio.Lock()

    def audit(self, what: str, outcome: str, kernel: str, origin: str | None, user: str) -> None:
        """Log what became of a request: one line, with nothing secret in it."""
        words = (what, outcome, *map(printable, (kernel, origin, user)))
        self.log.info("notebook-remote-gateway %s outcome=%s kernel=%s origin=%s user=%s", *words)
