"""papermill's engine ``notebook-remote``: its own one, with kernels on the configured gateways."""

from __future__ import annotations

from typing import Any

from papermill.engines import NBClientEngine

from .headless import GatewayKernelManager


class GatewayEngine(NBClientEngine):
    """``papermill --engine notebook-remote``; found by its entry point in setup.py."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Run a notebook; called by papermill."""
        kwargs.setdefault("kernel_manager_class", GatewayKernelManager)
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)
