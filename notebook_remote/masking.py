"""Keeps secrets out of what traitlets logs about the configuration with --debug."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from .exceptions import without_secrets

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
