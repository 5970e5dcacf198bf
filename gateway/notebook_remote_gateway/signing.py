"""Sealed claims: JSON Web Tokens as RFC 8725 wants them, and nothing of Jupyter.

The algorithm is pinned, and so are the type in the header, issuer and audience, so that what was
sealed for one purpose is of no use for another. Every claim has to be there. What is too long is
not even decoded.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import jwt

from .exceptions import Refused

ALGORITHM = "HS256"
ISSUER = "notebook-remote-gateway"
MAX_LENGTH = 4096  # characters; ours have about 600, and 2,500 if all of their parts are too long
STANDARD_CLAIMS = ["iss", "aud", "iat", "exp", "jti", "sub"]
REASONS: list[tuple[type[Exception], str]] = [
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.InvalidSignatureError, "bad-signature"),
    (jwt.InvalidAlgorithmError, "bad-algorithm"),
    (jwt.InvalidAudienceError, "wrong-type"),
    (jwt.InvalidIssuerError, "wrong-type"),
]


class Seal:
    """Seals claims for one purpose, and opens what it sealed.

    ``key`` has 32 bytes or more, ``lifetime`` is in seconds, ``claims`` are the names of those
    beside the standard ones; all of them are strings. ``clock`` says when a seal is made.
    """

    def __init__(
        self,
        key: bytes,
        purpose: str,
        lifetime: int,
        claims: tuple[str, ...],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._key = key
        self.purpose, self.lifetime, self.claims = purpose, lifetime, claims
        self.type = f"nr-{purpose}+jwt"
        self._clock = clock

    def seal(self, subject: str, **claims: str) -> tuple[str, str]:
        """Return sealed claims and their id."""
        now = int(self._clock())
        jti = secrets.token_urlsafe(16)
        whole = {
            "iss": ISSUER,
            "aud": self.purpose,
            "iat": now,
            "exp": now + self.lifetime,
            "jti": jti,
            "sub": subject,
            **claims,
        }
        return jwt.encode(whole, self._key, ALGORITHM, headers={"typ": self.type}), jti

    def open(self, sealed: str) -> dict[str, Any]:
        """Return the claims of what this seal made a while ago; else raise Refused."""
        if len(sealed) > MAX_LENGTH:
            raise Refused("too-long")
        try:
            whole = jwt.decode_complete(
                sealed,
                self._key,
                algorithms=[ALGORITHM],
                audience=self.purpose,
                issuer=ISSUER,
                # Replicas' clocks differ: one that is made a second from now is no attack.
                options={"require": STANDARD_CLAIMS, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            kinds = (reason for kind, reason in REASONS if isinstance(error, kind))
            raise Refused(next(kinds, "malformed")) from None
        if whole["header"].get("typ") != self.type:
            raise Refused("wrong-type")
        claims: dict[str, Any] = whole["payload"]
        if not all(isinstance(claims.get(name), str) for name in ("sub", "jti", *self.claims)):
            raise Refused("malformed")
        return claims
