"""The settings: environment variables, which all three gateways have in common."""

from __future__ import annotations

import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from .exceptions import SettingsError
from .validation import ORIGIN_RULE, is_origin

KEY = "NOTEBOOK_REMOTE_TICKET_KEY"
KEY_FILE = "NOTEBOOK_REMOTE_TICKET_KEY_FILE"
LIFETIME = "NOTEBOOK_REMOTE_TICKET_LIFETIME"
RATE = "NOTEBOOK_REMOTE_TICKET_RATE"
BURST = "NOTEBOOK_REMOTE_TICKET_BURST"
ORIGINS = "NOTEBOOK_REMOTE_ALLOWED_ORIGINS"
PASS_LIFETIME = "NOTEBOOK_REMOTE_PASS_LIFETIME"  # noqa: S105 - the name of a variable
MIN_KEY_SIZE = 32  # bytes: the size of the hash that HS256 uses


@dataclass(frozen=True)
class Settings:
    """The settings of one gateway process."""

    key: bytes = field(repr=False)
    lifetime: int = 45  # seconds for which a ticket can be redeemed
    rate: float = 10.0  # tickets and passes a second, on average
    burst: float = 100.0  # tickets and passes at once: all tabs of some users after an outage
    pass_lifetime: int = 12 * 3600  # seconds
    origins: frozenset[str] = frozenset()  # origins of the pages that may use passes

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Settings:
        """Read the settings, and remove the key from the environment: kernels inherit the rest.

        Raises SettingsError.
        """
        return cls(
            key=_pop_key(environ),
            lifetime=int(_number(environ, LIFETIME, cls.lifetime, 1, 600)),
            rate=_number(environ, RATE, cls.rate, 0.001, 10_000),
            burst=_number(environ, BURST, cls.burst, 1, 10_000),
            pass_lifetime=int(_number(environ, PASS_LIFETIME, cls.pass_lifetime, 1, 7 * 86400)),
            origins=_origins(environ),
        )


def _pop_key(environ: MutableMapping[str, str]) -> bytes:
    text, file = environ.pop(KEY, ""), environ.get(KEY_FILE, "")
    if text and file:
        raise SettingsError(f"{KEY} and {KEY_FILE} are both set; set one of them")
    if not text and not file:
        return secrets.token_bytes(MIN_KEY_SIZE)
    key = text.encode()
    if file:
        try:
            key = Path(file).read_bytes().strip()
        except OSError as error:
            raise SettingsError(f"{KEY_FILE}: {file}: {error.strerror}") from None
    if len(key) < MIN_KEY_SIZE:
        raise SettingsError(
            f"{KEY_FILE if file else KEY}: a key of {len(key)} bytes is too short; at least"
            f" {MIN_KEY_SIZE} are needed. `openssl rand -hex 32` makes a good one"
        )
    return key


def _number(
    environ: MutableMapping[str, str], name: str, default: float, minimum: float, maximum: float
) -> float:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not minimum <= value <= maximum:
        raise SettingsError(f"{name}: {text!r} is not a number from {minimum:g} to {maximum:g}")
    return value


def _origins(environ: MutableMapping[str, str]) -> frozenset[str]:
    origins = frozenset(
        filter(None, (part.strip() for part in environ.get(ORIGINS, "").split(",")))
    )
    for origin in sorted(origins):
        if not is_origin(origin):
            raise SettingsError(f"{ORIGINS}: {origin!r} is not an origin; {ORIGIN_RULE}")
    return origins
