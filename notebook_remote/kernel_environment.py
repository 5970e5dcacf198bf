"""The environment variables that kernels on this computer get: all but our own settings.

The credentials of gateways are among our settings. A variable's name may contain a gateway's name
(``NOTEBOOK_REMOTE_GPU_AUTH_TOKEN``), so prefixes say what is excluded, and not a list of names.
"""

from __future__ import annotations

import os

# Prefixes of the variables of all options of Gateway and Gateways; a test checks that.
SETTINGS_PREFIXES = ("JUPYTER_GATEWAY_", "NOTEBOOK_REMOTE_")
# Settings of the add-on in an embedded gateway. A prefix such as NOTEBOOK_REMOTE_TICKET_ would not
# do, since a gateway may be called "ticket". A test checks that the list is complete.
ADDON_VARIABLES = frozenset(
    {
        "NOTEBOOK_REMOTE_ALLOWED_ORIGINS",
        "NOTEBOOK_REMOTE_PASS_LIFETIME",
        "NOTEBOOK_REMOTE_TICKET_BURST",
        "NOTEBOOK_REMOTE_TICKET_KEY",
        "NOTEBOOK_REMOTE_TICKET_KEY_FILE",
        "NOTEBOOK_REMOTE_TICKET_LIFETIME",
        "NOTEBOOK_REMOTE_TICKET_RATE",
    }
)
SERVER_TOKEN_PREFIX = "JUPYTER_TOKEN"  # noqa: S105 - a name; also of JUPYTER_TOKEN_FILE


def for_kernels() -> dict[str, str]:
    """The environment of a kernel on this computer."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_PREFIXES)
    }


def for_embedded_gateway() -> dict[str, str]:
    """The environment of an embedded gateway: without the notebook server's token."""
    addon = {name: value for name, value in os.environ.items() if name in ADDON_VARIABLES}
    env = for_kernels() | addon
    return {name: value for name, value in env.items() if not name.startswith(SERVER_TOKEN_PREFIX)}
