"""Checks the addresses in the configuration, and normalizes them."""

from __future__ import annotations

from urllib.parse import urlsplit

from traitlets import TraitError

from ..net.urls import normalized_url, splits_password
from ..redaction import redacted_address


def checked_url(value: str, option: str) -> str:
    """The normalized form of a URL for an option of Gateway; empty if it is. Raises TraitError."""
    value = value.strip()
    if not value:
        return ""
    schemes = ("http", "https") if option == "url" else ("ws", "wss")
    what = "the address of a gateway" if option == "url" else f"an address for Gateway.{option}"
    if splits_password(value):
        raise _unencoded_password(value, what)
    if not _is_url(value, schemes):
        raise TraitError(
            f"{redacted_address(value)!r} is not {what}: write it as"
            f" {schemes[0]}://host:8888 or {schemes[1]}://host/prefix."
        )
    try:
        return normalized_url(value)
    except ValueError as error:
        raise TraitError(
            f"{redacted_address(value)!r} is not {what}: {error}. Check its spelling."
        ) from None


def check_proxy(proxy: str) -> None:
    """Raise TraitError unless ``Gateway.proxy`` is empty or the URL of an HTTP proxy."""
    if splits_password(proxy):
        raise _unencoded_password(proxy, "an address for Gateway.proxy")
    if proxy and not _is_url(proxy, ("http",)):
        raise TraitError(
            "Gateway.proxy is not the URL of an HTTP proxy such as http://proxy:3128:"
            f" {redacted_address(proxy)!r}."
        )


def _is_url(value: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _unencoded_password(address: str, what: str) -> TraitError:
    end = redacted_address(address).rpartition("//")[2]
    return TraitError(
        f"What ends in {end!r} is not {what}: in its user name and password write / as %2F, ? as"
        " %3F and # as %23, and in a path @ as %40."
    )
