"""Which computer this process runs on."""

from __future__ import annotations

import socket
import uuid
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def this_computer() -> tuple[str, str]:
    """Its name, and what tells its present run from earlier ones and from other computers'."""
    try:
        boot = BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        boot = f"{uuid.getnode():x}"
    return socket.gethostname(), boot
