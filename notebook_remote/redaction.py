"""Redacts passwords, tokens and tickets in texts and configuration before people see them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

# user:password@ of a URL: everything up to the last @, since people do not encode an @ in a
# password. A password may even contain a slash, but digits before a slash are a port.
USER_INFO = re.compile(r"(://)(?:[^/?#\s'\"]*@|[^/?#\s@:\['\"]*:(?!\d+[/?#])[^\s'\"]*@)")
SECRET_PARAMETER = re.compile(
    r"([?&;#][^=&;\s]*(?:token|ticket|pass|pwd|secret|key|auth|credential|signature)[^=&;\s]*=)"
    r"[^&;\s'\"]+",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """The text without user names, passwords and tokens in its URLs."""
    return SECRET_PARAMETER.sub(r"\1[secret]", USER_INFO.sub(r"\1", text))


def redacted_address(text: str) -> str:
    """An address that is not a usable URL, for an error message: without what is before its last @.

    All of that may be a password; only a known scheme stays.
    """
    scheme = re.match(r"(?:https?|wss?)://", text, re.IGNORECASE)
    before, _, rest = text.rpartition("@")
    return without_secrets((scheme[0] if scheme and before else "") + rest)


SECRET_NAME = re.compile(
    r"token$|pwd|passw|headers|secret|cookie|(api|private)_?key", re.IGNORECASE
)


def redact_configuration_in_logs() -> None:
    """Redact secrets in the "Config changed" log lines of all applications in this process.

    Called once by the command. Each extension's app logs the whole configuration with its own
    logger, before anybody could add a filter to that; so a record factory does it.
    """
    factory = logging.getLogRecordFactory()

    def make_redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = factory(*args, **kwargs)
        if str(record.msg).startswith("Config changed") and record.args:
            # logging replaces a tuple of one mapping by that mapping.
            config = record.args if isinstance(record.args, Mapping) else record.args[0]
            record.args = (redacted(config),)
        return record

    logging.setLogRecordFactory(make_redacted)


def redacted(value: Any, name: str = "") -> Any:
    """A configuration value, called ``name``, with its secrets replaced by ``[secret]``."""
    if isinstance(value, Mapping):
        return {key: redacted(inner, str(key)) for key, inner in value.items()}
    if SECRET_NAME.search(name) and value:
        return "[secret]"
    if isinstance(value, (list, tuple, set)):
        return [redacted(inner) for inner in value]
    return without_secrets(str(value))
