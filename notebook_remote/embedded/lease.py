"""Mutual authentication of a notebook server and an embedded gateway, without sending the token.

The gateway's address and token are in a file, which may be that of a dead gateway. Another process
that listens at its port now must get neither token nor code. So each end sends a nonce, and answers
the other's nonce with an HMAC that only holders of the token can compute. They do so over the
WebSocket that is the *lease*: while that connection is open, its other end is the same process.
"""

from __future__ import annotations

import hmac
import json
import secrets

from ..types import JsonObject

PATH = "/notebook-remote/lease"
HANDSHAKE_TIMEOUT = 5.0  # seconds


class AuthenticationFailed(Exception):
    """The other end does not know the token."""


class Peer:
    """One end of the lease: the notebook server, or the gateway (``is_gateway``). Pure logic."""

    def __init__(self, token: str, port: int, is_gateway: bool) -> None:
        self._token = token
        self._port = port
        self._own, self._other = ("gateway", "server") if is_gateway else ("server", "gateway")
        self.nonce = secrets.token_hex(16)

    def prove(self, nonce: str) -> str:
        """The proof of this end for the nonce of the other."""
        return self._digest(self._own, nonce, self.nonce)

    def check(self, proof: object, nonce: str) -> None:
        """Raise AuthenticationFailed unless ``proof`` is that of the other end, with its nonce."""
        expected = self._digest(self._other, self.nonce, nonce)
        # A stranger's text may not be encodable: a lone surrogate.
        received = proof.encode(errors="replace") if isinstance(proof, str) else b""
        if not hmac.compare_digest(received, expected.encode()):
            raise AuthenticationFailed

    def _digest(self, prover: str, challenge: str, nonce: str) -> str:
        text = json.dumps([prover, self._port, challenge, nonce]).encode()
        return hmac.digest(self._token.encode(), text, "sha256").hex()


def parse_message(text: object) -> JsonObject:
    """The JSON object in a message. Raises AuthenticationFailed for anything else."""
    try:
        model = json.loads(text) if isinstance(text, (str, bytes)) else None
    except (ValueError, RecursionError):  # nested too deeply
        model = None
    if not isinstance(model, dict):
        raise AuthenticationFailed
    return model
