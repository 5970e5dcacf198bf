"""Add-on for a Jupyter gateway: pages connect to kernels directly, without the gateway's token.

A notebook server exchanges the token for a *ticket*, which opens one kernel's channels once. A page
without a notebook server exchanges it for a *pass*, which starts and reaches kernels of its own.

- ``jupyter_server``, ``kernel_gateway`` and ``enterprise_gateway`` enable the add-on in one kind of
  gateway each; the gateways' options name them.
- ``routes`` lists every URL; ``channels``, ``ticket_handlers`` and ``pass_handlers`` handle them,
  with ``base_handlers`` and ``cors`` in common; ``addon`` is the state that they share.
- ``tickets`` and ``passes`` mint and verify tickets and passes, which ``signing`` encodes.
- ``validation``, ``rate_limit`` and ``messages`` restrict what clients may send.
- ``settings`` reads the environment variables; ``exceptions`` has the errors.

Importing the package imports none of the gateways: each environment has only one of them.
"""

from __future__ import annotations

from typing import Any

from ._version import __version__

__all__ = ["__version__"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Return the extension's module; called by Jupyter Server if the extension is enabled."""
    return [{"module": "notebook_remote_gateway"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    """Add the add-on's routes to a Jupyter Server; called by the server at start."""
    from .jupyter_server import load

    load(serverapp)
