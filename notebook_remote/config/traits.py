"""Kinds of options: with every usual spelling of a value, from files and variables too."""

from __future__ import annotations

import os
from typing import Any

from traitlets import Bool, Dict, TraitError, Unicode

from ..redaction import redacted_address


class Flag(Bool[bool, "bool | str"]):
    """A Bool that understands every usual spelling in an environment variable or a flag."""

    def from_string(self, s: str) -> bool:
        """Read a spelling; called by traitlets and for environment variables."""
        word = s.strip().lower()
        if word in ("1", "true", "t", "yes", "y", "on"):
            return True
        if word in ("0", "false", "f", "no", "n", "off", ""):
            return False
        raise ValueError(f"{s!r} is neither true nor false")

    def validate(self, obj: Any, value: Any) -> bool:
        """Accept strings as well, since configuration files contain them."""
        if not isinstance(value, str):
            return super().validate(obj, value)
        try:
            return self.from_string(value)
        except ValueError as error:
            raise TraitError(f"{type(obj).__name__}.{self.name}: {error}.") from None


class Text(Unicode[str, "str | bytes"]):
    """A Unicode for which None, which upstream allows for some options, is the empty string."""

    def validate(self, obj: Any, value: Any) -> str:
        """Called by traitlets for every value."""
        return str(super().validate(obj, "" if value is None else value))


class Named(Dict):
    """A Dict of gateways, on the command line NAME=URL each."""

    def validate(self, obj: Any, value: Any) -> Any:
        """Called by traitlets; what it cannot read of a command line comes as a list."""
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
    """The path of a file; ``~`` is the home directory, which a shell does not expand everywhere."""

    def validate(self, obj: Any, value: Any) -> str:
        """Called by traitlets for every value."""
        return os.path.expanduser(super().validate(obj, value) or "")
