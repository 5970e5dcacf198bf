"""Tickets: each opens one kernel's channels, once, for one page and one session, for a short time.

Pure logic. A ticket is sealed claims, so any process with the key can redeem it; that it was
redeemed is known to this process only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .exceptions import Refused
from .signing import Seal

CLOCK_STEP = 300  # seconds by which the clock may be set back without a ticket working again
FEW = 1024  # entries that may lie around before those that have expired are looked for


@dataclass(frozen=True)
class Holder:
    """Who a ticket was made for. ``user`` is the gateway's own object, if it was made here."""

    name: str
    user: Any = None


class Expiring:
    """A dict whose entries are dropped some time after they have expired."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[float, Any]] = {}
        self._enough = FEW

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get(self, key: str) -> Any:
        """Return the value of an entry, or None."""
        return self._entries.get(key, (0.0, None))[1]

    def put(self, key: str, value: Any, until: float) -> None:
        """Keep a value until a time. At most twice as many lie here as have not expired."""
        if len(self._entries) >= self._enough:
            now = self._clock()
            self._entries = {k: e for k, e in self._entries.items() if e[0] > now}
            self._enough = max(FEW, 2 * len(self._entries))
        self._entries[key] = (until, value)


class TicketOffice:
    """Makes tickets and redeems them. One for each process; used from its event loop only."""

    def __init__(self, key: bytes, lifetime: int, clock: Callable[[], float] = time.time) -> None:
        claims = ("kernel", "origin", "session")
        self._seal = Seal(key, "ticket", lifetime, claims, clock)
        self._burnt = Expiring(clock)
        self._users = Expiring(clock)

    @property
    def lifetime(self) -> int:
        """Seconds for which a ticket can be redeemed."""
        return self._seal.lifetime

    def mint(self, kernel_id: str, origin: str, session_id: str, holder: Holder) -> str:
        """Return a new ticket."""
        ticket, jti = self._seal.seal(
            holder.name, kernel=kernel_id, origin=origin, session=session_id
        )
        # An authorizer may want more of a user than a name; so his object waits for the ticket.
        self._users.put(jti, holder.user, time.time() + self.lifetime)
        return ticket

    def redeem(
        self, ticket: str, kernel_id: str, origin: str | None, session_id: str | None
    ) -> Holder:
        """Use a ticket up and say whose it was; raise Refused if it does not open this.

        A ticket that is tried at the wrong place is not used up by that.
        """
        claims = self._seal.open(ticket)
        if claims["kernel"] != kernel_id:
            raise Refused("wrong-kernel")
        if origin is None:
            raise Refused("no-origin")
        if claims["origin"] != origin:
            raise Refused("wrong-origin")
        if claims["session"] != session_id:
            raise Refused("wrong-session")
        if claims["jti"] in self._burnt:
            raise Refused("reused")
        self._burnt.put(claims["jti"], True, claims["exp"] + CLOCK_STEP)
        return Holder(claims["sub"], self._users.get(claims["jti"]))
