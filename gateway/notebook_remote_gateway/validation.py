"""Validation of what clients send: origins, session ids, and text for the log."""

from __future__ import annotations

import re

HOST_PATTERN = r"(?:[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
ORIGIN_PATTERN = re.compile(rf"(https?)://{HOST_PATTERN}(?::([1-9][0-9]{{0,4}}))?")
SESSION_ID_PATTERN = re.compile(r"[A-Za-z0-9._~-]{1,128}")
DEFAULT_PORTS = {"http": "80", "https": "443"}
ORIGIN_RULE = (
    "'origin' must be what the browser sends as Origin: http:// or https://, the host in lower"
    " case, and the port unless it is the default one; no path, not even a slash"
)
SESSION_ID_RULE = "must be 1 to 128 letters, digits, dots, hyphens, tildes or underscores"


def is_origin(value: object) -> bool:
    """Return whether a value is an origin exactly as browsers serialize it.

    ``null`` is not accepted: every sandboxed page and local file has that origin.
    """
    match = ORIGIN_PATTERN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return False
    scheme, port = match.groups()
    return port is None or (int(port) < 65536 and port != DEFAULT_PORTS[scheme])


def is_session_id(value: object) -> bool:
    """Return whether a value can be a session id; JupyterLab's session ids are UUIDs."""
    return isinstance(value, str) and SESSION_ID_PATTERN.fullmatch(value) is not None


def sanitize_for_log(text: str | None, max_length: int = 200) -> str:
    """Make one word of a client's text: no spaces, no control characters, limited in length."""
    return re.sub(r"[^\x21-\x7e]", "?", text or "-")[:max_length]
