"""Passes: a page uses one in place of the gateway's token, for some hours.

Pure logic. A pass is a signed token that is bound to a page's origin. It reaches only the kernels
that were started with it, and only the process that started these knows them. Passes of the same
origin and *scope* share their kernels: a notebook server gives its pages a scope that nobody can
guess, so that each page, with a pass of its own, can use the kernels of the other pages.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from .exceptions import CredentialRejected
from .signing import Signer
from .tickets import ExpiringDict, Identity


@dataclass(frozen=True)
class Pass:
    """A verified pass."""

    origin: str
    identity: Identity
    scope: str

    @property
    def owner(self) -> tuple[str, str]:
        """The owner of the kernels that are started with this pass.

        The user's name is not part of it: Jupyter Server invents a new name for each request that
        is authenticated by the token.
        """
        return self.origin, self.scope


class PassManager:
    """Mints and verifies passes, and knows the owner of each kernel. One for each process."""

    def __init__(self, key: bytes, lifetime: int, clock: Callable[[], float] = time.time) -> None:
        self._signer = Signer(key, "pass", lifetime, ("origin", "scope"), clock)
        self._users = ExpiringDict(clock)
        self._owners: dict[str, tuple[str, str]] = {}  # kernel id -> Pass.owner

    @property
    def lifetime(self) -> int:
        """Seconds for which a pass is valid."""
        return self._signer.lifetime

    def mint(self, origin: str, identity: Identity, scope: str = "") -> str:
        """Return a new pass; without a scope it shares its kernels with no other pass."""
        scope = scope or secrets.token_urlsafe()
        token, jti = self._signer.sign(identity.name, origin=origin, scope=scope)
        self._users.put(jti, identity.user, time.time() + self.lifetime)
        return token

    def verify(self, token: str, origin: str | None) -> Pass:
        """Return the pass; raise CredentialRejected if it is not valid for a page of ``origin``."""
        claims = self._signer.verify(token)
        if origin is None:
            raise CredentialRejected("no-origin")
        if claims["origin"] != origin:
            raise CredentialRejected("wrong-origin")
        identity = Identity(claims["sub"], self._users.get(claims["jti"]))
        return Pass(origin, identity, claims["scope"])

    def add_kernel(self, pass_: Pass, kernel_id: str, exists: Callable[[str], bool]) -> None:
        """Record the owner of a new kernel, and forget the kernels that no longer exist."""
        self._owners = {k: owner for k, owner in self._owners.items() if exists(k)}
        self._owners[kernel_id] = pass_.owner

    def owns(self, pass_: Pass, kernel_id: str) -> bool:
        """Return whether a kernel was started with this pass, or one that shares its kernels."""
        return self._owners.get(kernel_id) == pass_.owner

    def kernel_ids(self, pass_: Pass) -> list[str]:
        """Return the ids of the kernels that a pass owns; some of them may no longer exist."""
        return [kernel_id for kernel_id, owner in self._owners.items() if owner == pass_.owner]
