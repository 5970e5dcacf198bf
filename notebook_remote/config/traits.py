"""Types of options, which accept the usual spellings in files and environment variables."""

from __future__ import annotations

import os
from typing import Any

from traitlets import Bool, Dict, TraitError, Unicode

from ..redaction import redacted_address


class Flag(Bool[bool, "bool | str"]):
    """A Bool that accepts true, yes, on, 1 and their opposites as text."""

    def from_string(self, s: str) -> bool:
        """Parse text; called by traitlets, and for environment variables."""
        text = s.strip().lower()
        if text in ("1", "true", "t", "yes", "y", "on"):
            return True
        if text in ("0", "false", "f", "no", "n", "off", ""):
            return False
        raise ValueError(f"{s!r} is neither true nor false")

    def validate(self, obj: Any, value: Any) -> bool:
        """Accept text as well, since configuration files contain it."""
        if not isinstance(value, str):
            return super().validate(obj, value)
        try:
            return self.from_string(value)
        except ValueError as error:
            raise TraitError(f"{type(obj).__name__}.{self.name}: {error}.") from None


class Text(Unicode[str, "str | bytes"]):
    """A Unicode that takes None, which jupyter_server allows for some options, as empty."""

    def validate(self, obj: Any, value: Any) -> str:
        """Called by traitlets for every value."""
        return str(super().validate(obj, "" if value is None else value))


class GatewaysByName(Dict):
    """A Dict of gateways by name; on the command line, NAME=URL for each."""

    def validate(self, obj: Any, value: Any) -> Any:
        """Called by traitlets, with a list for command line options that it cannot parse."""
        for word in value if isinstance(value, list) else ():
            if "=" not in str(word):
                shown = redacted_address(str(word))
                url = shown if "://" in shown else "https://host:8888"
                raise TraitError(
                    f"--gateway={shown} says no name: write --gateway=NAME=URL, such as"
                    f" --gateway=gpu={url}."
                )
        return super().validate(obj, value)


class File(Unicode[str, "str | bytes"]):
    """The path of a file; expands ``~``, which shells do not expand in ``--option=~/file``."""

    def validate(self, obj: Any, value: Any) -> str:
        """Called by traitlets for every value."""
        return os.path.expanduser(super().validate(obj, value) or "")
