"""Jupyter Notebook whose kernels run somewhere else: on a kernel gateway."""

from __future__ import annotations

from typing import Any

from ._version import __version__

__all__ = ["__version__"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Tell jupyter_server which extension app is ours; it calls this when our command starts.

    Source: https://jupyter-server.readthedocs.io/en/latest/developers/extensions.html
    """
    from .app import RemoteNotebookApp

    return [{"module": "notebook_remote.app", "app": RemoteNotebookApp}]
