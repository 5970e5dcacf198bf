"""Tickets: each opens one kernel's channels, once, for one page and one session, for a short time.

Pure logic. A ticket is a signed token, so that every process with the same key can redeem it. Only
the process that redeemed a ticket knows that it has been used.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .exceptions import CredentialRejected
from .signing import Signer

TICKET_PARAM = "nr_token"  # the parameter of a WebSocket's URL that has the ticket
# Seconds by which the clock may be set back before a used ticket would be accepted again.
MAX_CLOCK_STEP = 300
MIN_PURGE_SIZE = 1024  # entries; expired ones are not looked for in a smaller dict


@dataclass(frozen=True)
class Identity:
    """The user to whom a ticket or a pass was issued.

    ``user`` is the gateway's own object for the user; None if another process issued the ticket.
    """

    name: str
    user: Any = None


class ExpiringDict:
    """A dict that removes its entries some time after they have expired."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[float, Any]] = {}
        self._purge_size = MIN_PURGE_SIZE

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get(self, key: str) -> Any:
        """Return the value of an entry, or None."""
        return self._entries.get(key, (0.0, None))[1]

    def put(self, key: str, value: Any, expires_at: float) -> None:
        """Add an entry. The dict has at most twice as many entries as are not expired."""
        if len(self._entries) >= self._purge_size:
            now = self._clock()
            self._entries = {k: e for k, e in self._entries.items() if e[0] > now}
            self._purge_size = max(MIN_PURGE_SIZE, 2 * len(self._entries))
        self._entries[key] = (expires_at, value)


class TicketManager:
    """Mints and redeems tickets. One for each process; used from its event loop only."""

    def __init__(self, key: bytes, lifetime: int, clock: Callable[[], float] = time.time) -> None:
        claims = ("kernel", "origin", "session")
        self._signer = Signer(key, "ticket", lifetime, claims, clock)
        self._redeemed = ExpiringDict(clock)
        self._users = ExpiringDict(clock)

    @property
    def lifetime(self) -> int:
        """Seconds for which a ticket can be redeemed."""
        return self._signer.lifetime

    def mint(self, kernel_id: str, origin: str, session_id: str, identity: Identity) -> str:
        """Return a new ticket."""
        ticket, jti = self._signer.sign(
            identity.name, kernel=kernel_id, origin=origin, session=session_id
        )
        # An authorizer may need more of a user than the name, so the user's object is stored.
        self._users.put(jti, identity.user, time.time() + self.lifetime)
        return ticket

    def redeem(
        self, ticket: str, kernel_id: str, origin: str | None, session_id: str | None
    ) -> Identity:
        """Use a ticket up and return its user; raise CredentialRejected if it is not valid here.

        A ticket that is presented in the wrong place is not used up by that.
        """
        claims = self._signer.verify(ticket)
        if claims["kernel"] != kernel_id:
            raise CredentialRejected("wrong-kernel")
        if origin is None:
            raise CredentialRejected("no-origin")
        if claims["origin"] != origin:
            raise CredentialRejected("wrong-origin")
        if claims["session"] != session_id:
            raise CredentialRejected("wrong-session")
        if claims["jti"] in self._redeemed:
            raise CredentialRejected("reused")
        self._redeemed.put(claims["jti"], True, claims["exp"] + MAX_CLOCK_STEP)
        return Identity(claims["sub"], self._users.get(claims["jti"]))
