"""The add-on for a gateway: single-use tickets, so that a page can talk to the gateway directly.

Nothing is imported here that one of the three gateways lacks. The modules ``jupyter_server``,
``kernel_gateway`` and ``enterprise_gateway`` are for one gateway each, and switch the add-on on.
"""

from __future__ import annotations

from typing import Any

from ._version import __version__

__all__ = ["__version__"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell Jupyter Server where its extension is; called when it has been enabled."""
    return [{"module": "notebook_remote_gateway"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    """Add our routes to a Jupyter Server; called by it at start."""
    from .jupyter_server import load

    load(serverapp)
