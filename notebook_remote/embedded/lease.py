"""How a notebook server and an embedded gateway prove to each other that they know its token.

The gateway's address and token are in a file, and a gateway that died may have left one. Whoever
listens at its port now is to get nothing: no token and no code. So the token itself is not sent.
Each end gives a random number, and answers the other's with a digest that only the token's holders
can compute. This is said over the WebSocket that is the *lease*: as long as that connection lasts,
the process at its other end is the one that holds the port.
"""

from __future__ import annotations

import hmac
import json
import secrets

from ..types import JsonObject

PATH = "/notebook-remote/lease"
LIMIT = 5.0  # seconds for all of it


class NotProven(Exception):
    """The other end does not know the token."""


class Side:
    """One end of it: the notebook server, or the gateway (``is_gateway``). Pure logic."""

    def __init__(self, token: str, port: int, is_gateway: bool) -> None:
        self._token = token
        self._port = port
        self._own, self._other = ("gateway", "server") if is_gateway else ("server", "gateway")
        self.nonce = secrets.token_hex(16)

    def prove(self, nonce: str) -> str:
        """The proof of this end, for the other's number."""
        return self._digest(self._own, nonce, self.nonce)

    def check(self, proof: object, nonce: str) -> None:
        """Raises NotProven if the other end's proof is not right; ``nonce`` is its number."""
        expected = self._digest(self._other, self.nonce, nonce)
        # A stranger's text may be none that UTF-8 has: half of a pair.
        given = proof.encode(errors="replace") if isinstance(proof, str) else b""
        if not hmac.compare_digest(given, expected.encode()):
            raise NotProven

    def _digest(self, who: str, asked: str, own: str) -> str:
        text = json.dumps([who, self._port, asked, own]).encode()
        return hmac.digest(self._token.encode(), text, "sha256").hex()


def message(text: object) -> JsonObject:
    """A message as the other end sends it. Raises NotProven for what is none."""
    try:
        model = json.loads(text) if isinstance(text, (str, bytes)) else None
    except (ValueError, RecursionError):  # brackets by the thousand
        model = None
    if not isinstance(model, dict):
        raise NotProven
    return model
