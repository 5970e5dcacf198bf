"""The settings: environment variables, since that is what all three gateways have in common."""

from __future__ import annotations

import secrets
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from .validation import ORIGIN_RULE, is_origin

KEY = "NOTEBOOK_REMOTE_TICKET_KEY"
KEY_FILE = "NOTEBOOK_REMOTE_TICKET_KEY_FILE"
LIFETIME = "NOTEBOOK_REMOTE_TICKET_LIFETIME"
RATE = "NOTEBOOK_REMOTE_TICKET_RATE"
BURST = "NOTEBOOK_REMOTE_TICKET_BURST"
ORIGINS = "NOTEBOOK_REMOTE_ALLOWED_ORIGINS"
PASS_LIFETIME = "NOTEBOOK_REMOTE_PASS_LIFETIME"  # noqa: S105 - a name
MIN_KEY = 32  # bytes, as many as HS256 makes of it


class SettingsError(ValueError):
    """A setting that cannot be meant; the message says which and what to do."""


@dataclass(frozen=True)
class Settings:
    """What a process of a gateway needs to know."""

    key: bytes = field(repr=False)
    lifetime: int = 45  # seconds in which a ticket has to be redeemed
    rate: float = 10.0  # tickets a second, in the long run
    burst: float = 100.0  # tickets at once: all tabs of some users after an outage
    pass_lifetime: int = 12 * 3600  # seconds
    origins: frozenset[str] = frozenset()  # of pages that may use passes

    @classmethod
    def take_from(cls, environ: MutableMapping[str, str]) -> Settings:
        """Read an environment and take the key out of it, since kernels inherit the rest.

        Raises SettingsError.
        """
        return cls(
            key=_key(environ),
            lifetime=int(_number(environ, LIFETIME, cls.lifetime, 1, 600)),
            rate=_number(environ, RATE, cls.rate, 0.001, 10_000),
            burst=_number(environ, BURST, cls.burst, 1, 10_000),
            pass_lifetime=int(_number(environ, PASS_LIFETIME, cls.pass_lifetime, 1, 7 * 86400)),
            origins=_origins(environ),
        )


def _key(environ: MutableMapping[str, str]) -> bytes:
    text, file = environ.pop(KEY, ""), environ.get(KEY_FILE, "")
    if text and file:
        raise SettingsError(f"{KEY} and {KEY_FILE} are both set; set one of them")
    if not text and not file:
        return secrets.token_bytes(MIN_KEY)
    key = text.encode()
    if file:
        try:
            key = Path(file).read_bytes().strip()
        except OSError as error:
            raise SettingsError(f"{KEY_FILE}: {file}: {error.strerror}") from None
    if len(key) < MIN_KEY:
        raise SettingsError(
            f"{KEY_FILE if file else KEY}: a key of {len(key)} bytes is too short; {MIN_KEY} are"
            " needed. `openssl rand -hex 32` makes a good one"
        )
    return key


def _number(
    environ: MutableMapping[str, str], name: str, default: float, least: float, most: float
) -> float:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise SettingsError(f"{name}: {text!r} is no number from {least:g} to {most:g}")
    return value


def _origins(environ: MutableMapping[str, str]) -> frozenset[str]:
    listed = [word.strip() for word in environ.get(ORIGINS, "").split(",")]
    for origin in filter(None, listed):
        if not is_origin(origin):
            raise SettingsError(f"{ORIGINS}: {origin!r} is no origin; {ORIGIN_RULE}")
    return frozenset(filter(None, listed))
