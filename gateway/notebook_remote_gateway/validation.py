"""What others write, checked: origins, session ids, and text that goes into a log."""

from __future__ import annotations

import re

HOST = r"(?:[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
ORIGIN = re.compile(rf"(https?)://{HOST}(?::([1-9][0-9]{{0,4}}))?")
DEFAULT_PORTS = {"http": "80", "https": "443"}
SESSION_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
ORIGIN_RULE = (
    "'origin' has to be what the browser sends as Origin: http:// or https://, the host in lower"
    " case, and the port unless it is the usual one; no path, not even a slash"
)
ID_RULE = "has to be 1 to 128 letters, digits, dots, hyphens, tildes or _"


def is_origin(value: object) -> bool:
    """Whether it is an origin exactly as a browser writes it. ``null`` is none: anybody has it."""
    found = ORIGIN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return False
    scheme, port = found.groups()
    return port is None or (int(port) < 65536 and port != DEFAULT_PORTS[scheme])


def is_session_id(value: object) -> bool:
    """Whether it is fit to be a session id; JupyterLab's are UUIDs."""
    return isinstance(value, str) and SESSION_ID.fullmatch(value) is not None


def printable(text: str | None, most: int = 200) -> str:
    """Text of others for one word of a log line: no spaces, no control characters, not too long."""
    return re.sub(r"[^\x21-\x7e]", "?", text or "-")[:most]
