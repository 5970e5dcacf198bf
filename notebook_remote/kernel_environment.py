"""What of this process's environment is for kernels of this computer: all but our own settings.

The credentials of gateways are among these, and a gateway's name makes up part of theirs
(``NOTEBOOK_REMOTE_GPU_AUTH_TOKEN``), so what is left out is a rule and no list.
"""

from __future__ import annotations

import os

# Every variable for an option of Gateway or Gateways begins so; a test holds it.
SETTINGS = ("JUPYTER_GATEWAY_", "NOTEBOOK_REMOTE_")
# The add-on's, which an embedded gateway reads for itself: these and no others, since a gateway may
# be called "ticket" or "pass". A test holds that they are all.
ADD_ON = frozenset(
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
TOKEN = "JUPYTER_TOKEN"  # noqa: S105 - the name of the notebook server's own


def for_kernels() -> dict[str, str]:
    """The environment of a kernel on this computer, as `jupyter notebook` gives it otherwise."""
    return {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}


def for_embedded_gateway() -> dict[str, str]:
    """The environment of an embedded gateway: it has a token of its own, and maybe the add-on."""
    add_on = {name: value for name, value in os.environ.items() if name in ADD_ON}
    kept = for_kernels() | add_on
    return {name: value for name, value in kept.items() if not name.startswith(TOKEN)}
