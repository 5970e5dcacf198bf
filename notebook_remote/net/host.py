"""Identifies the computer on which this process runs."""

from __future__ import annotations

import socket
import uuid
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def this_computer() -> tuple[str, str]:
    """The host name, and an id that is unique to this computer and changes when it boots."""
    try:
        boot = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        boot = f"{uuid.getnode():x}"
    return socket.gethostname(), boot
