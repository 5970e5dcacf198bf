"""Signed claims: JSON Web Tokens (JWT), issued and verified as RFC 8725 recommends.

The algorithm is fixed, and so are the type in the header, the issuer and the audience: a token that
was signed for one purpose is invalid for every other. Every claim is required. A token that is too
long is rejected before it is decoded.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import jwt

from .exceptions import CredentialRejected

ALGORITHM = "HS256"
ISSUER = "notebook-remote-gateway"
# In characters. Our tokens have about 600, and at most 2,500 with the longest valid claims.
MAX_LENGTH = 4096
STANDARD_CLAIMS = ["iss", "aud", "iat", "exp", "jti", "sub"]
REJECTION_REASONS: list[tuple[type[Exception], str]] = [
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.InvalidSignatureError, "bad-signature"),
    (jwt.InvalidAlgorithmError, "bad-algorithm"),
    (jwt.InvalidAudienceError, "wrong-type"),
    (jwt.InvalidIssuerError, "wrong-type"),
]


class Signer:
    """Signs claims for one purpose, and verifies the tokens that it signed.

    ``key`` has at least 32 bytes, ``lifetime`` is in seconds, and ``claims`` are the names of the
    claims beside the standard ones; the values of these are strings. ``clock`` is used for the
    time of issue only.
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

    def sign(self, subject: str, **claims: str) -> tuple[str, str]:
        """Return a new token and its id (``jti``)."""
        now = int(self._clock())
        jti = secrets.token_urlsafe(16)
        payload = {
            "iss": ISSUER,
            "aud": self.purpose,
            "iat": now,
            "exp": now + self.lifetime,
            "jti": jti,
            "sub": subject,
            **claims,
        }
        return jwt.encode(payload, self._key, ALGORITHM, headers={"typ": self.type}), jti

    def verify(self, token: str) -> dict[str, Any]:
        """Return a token's claims; raise CredentialRejected if it is not a valid one of ours."""
        if len(token) > MAX_LENGTH:
            raise CredentialRejected("too-long")
        try:
            decoded = jwt.decode_complete(
                token,
                self._key,
                algorithms=[ALGORITHM],
                audience=self.purpose,
                issuer=ISSUER,
                # The clocks of replicas differ: a time of issue in the near future is no attack.
                options={"require": STANDARD_CLAIMS, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            reasons = (reason for kind, reason in REJECTION_REASONS if isinstance(error, kind))
            raise CredentialRejected(next(reasons, "malformed")) from None
        if decoded["header"].get("typ") != self.type:
            raise CredentialRejected("wrong-type")
        claims: dict[str, Any] = decoded["payload"]
        if not all(isinstance(claims.get(name), str) for name in ("sub", "jti", *self.claims)):
            raise CredentialRejected("malformed")
        return claims
