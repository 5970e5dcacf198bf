"""Takes passwords, tokens and tickets out of texts, before they are shown or logged."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

# Before the host of a URL: all up to the last @, since people write passwords as they are. One with
# a slash in it is no URL, but a password; a port before a slash is not.
USER_INFO = re.compile(r"(://)(?:[^/?#\s'\"]*@|[^/?#\s@:\['\"]*:(?!\d+[/?#])[^\s'\"]*@)")
SECRET_PARAMETER = re.compile(
    r"([?&;#][^=&;\s]*(?:token|ticket|pass|pwd|secret|key|auth|credential|signature)[^=&;\s]*=)"
    r"[^&;\s'\"]+",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """Take user names, passwords and tokens out of the URLs in a text, before it is shown."""
    return SECRET_PARAMETER.sub(r"\1[secret]", USER_INFO.sub(r"\1", text))


def unusable_address(text: str) -> str:
    """What is shown of an address that cannot be used: nothing of what is before its last @.

    It need not be a URL, so all of that may be a password; only a scheme that we know stays.
    """
    scheme = re.match(r"(?:https?|wss?)://", text, re.IGNORECASE)
    before, _, rest = text.rpartition("@")
    return without_secrets((scheme[0] if scheme and before else "") + rest)


SECRET = re.compile(r"token$|pwd|passw|headers|secret|cookie|(api|private)_?key", re.IGNORECASE)


def mask_configuration_in_logs() -> None:
    """Mask the values in "Config changed" lines, of all applications in this process.

    Called once by the command. Every extension's app logs the whole configuration with a logger of
    its own, before an extension could add a filter to it; hence the record factory.
    """
    make = logging.getLogRecordFactory()

    def make_masked(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        if str(record.msg).startswith("Config changed") and record.args:
            # logging makes a single mapping the arguments themselves.
            given = record.args if isinstance(record.args, Mapping) else record.args[0]
            record.args = (masked(given),)
        return record

    logging.setLogRecordFactory(make_masked)


def masked(value: Any, name: str = "") -> Any:
    """A configuration value as it may be shown."""
    if isinstance(value, Mapping):
        return {key: masked(inner, str(key)) for key, inner in value.items()}
    if SECRET.search(name) and value:
        return "[secret]"
    if isinstance(value, (list, tuple, set)):
        return [masked(inner) for inner in value]
    return without_secrets(str(value))
