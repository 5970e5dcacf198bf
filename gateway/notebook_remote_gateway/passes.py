"""Passes: what a page has in place of the gateway's token, for some hours.

Pure logic. A pass is sealed claims, bound to a page's origin. The kernels that were started with
it are known to this process only, and nothing else can be done with a pass than with them. Passes
of the same origin and *scope* share their kernels: a notebook server names a scope that nobody can
guess to its pages, so that each, with a pass of its own, works with the kernels of the others.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from .exceptions import Refused
from .signing import Seal
from .tickets import Expiring, Holder


@dataclass(frozen=True)
class Pass:
    """A pass that was shown and is good."""

    origin: str
    holder: Holder
    scope: str

    @property
    def owner(self) -> tuple[str, str]:
        """What owns the kernels that are started with it.

        Not a name: Jupyter Server gives a user by token a new one with each request.
        """
        return self.origin, self.scope


class PassOffice:
    """Makes passes, checks them, and knows whose a kernel is. One for each process."""

    def __init__(self, key: bytes, lifetime: int, clock: Callable[[], float] = time.time) -> None:
        self._seal = Seal(key, "pass", lifetime, ("origin", "scope"), clock)
        self._users = Expiring(clock)
        self._owners: dict[str, tuple[str, str]] = {}  # of the kernels, by their ids

    @property
    def lifetime(self) -> int:
        """Seconds for which a pass is good."""
        return self._seal.lifetime

    def mint(self, origin: str, holder: Holder, scope: str = "") -> str:
        """Return a new pass; without a scope it shares its kernels with no other."""
        scope = scope or secrets.token_urlsafe()
        sealed, jti = self._seal.seal(holder.name, origin=origin, scope=scope)
        self._users.put(jti, holder.user, time.time() + self.lifetime)
        return sealed

    def check(self, sealed: str, origin: str | None) -> Pass:
        """Return the pass that was shown; raise Refused if it is not good for this origin."""
        claims = self._seal.open(sealed)
        if origin is None:
            raise Refused("no-origin")
        if claims["origin"] != origin:
            raise Refused("wrong-origin")
        holder = Holder(claims["sub"], self._users.get(claims["jti"]))
        return Pass(origin, holder, claims["scope"])

    def started(self, shown: Pass, kernel_id: str, is_alive: Callable[[str], bool]) -> None:
        """Note whose a new kernel is, and forget those that are gone."""
        self._owners = {k: owner for k, owner in self._owners.items() if is_alive(k)}
        self._owners[kernel_id] = shown.owner

    def owns(self, shown: Pass, kernel_id: str) -> bool:
        """Whether a kernel was started with this pass, or one that shares its kernels."""
        return self._owners.get(kernel_id) == shown.owner

    def kernels(self, shown: Pass) -> list[str]:
        """Return the ids of the kernels that it owns; some may be gone."""
        return [kernel_id for kernel_id, owner in self._owners.items() if owner == shown.owner]
