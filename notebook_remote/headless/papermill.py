"""papermill's engine ``notebook-remote``: with kernels on the configured gateways."""

from __future__ import annotations

from typing import Any

from papermill.engines import NBClientEngine
from traitlets.config import Config

from ..config.base_app import configuration
from ..kernelspec_names import split
from .event_loop_thread import EventLoopThread
from .manager import GatewayKernelManager
from .selection import configured_gateways, describe


class GatewayEngine(NBClientEngine):
    """``papermill --engine notebook-remote``; found by its entry point in setup.py."""

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """The name of the requested kernel; called by papermill before it reads the language.

        If it is not the notebook's own, the notebook's metadata is changed to it, so that the cell
        with the parameters is in the language of that kernel. Raises GatewayError.
        """
        wanted = str(super().nb_kernel_name(nb, name))
        known = nb.metadata.get("kernelspec", {}).get("name")
        gateways = configured_gateways(configuration(Config()))
        if gateways and known not in (wanted, split(wanted)[0]):
            background = EventLoopThread("papermill")
            try:
                spec = background.submit(describe(gateways, wanted)).result()
            finally:
                background.stop()
            nb.metadata["kernelspec"] = spec
            nb.metadata["language_info"] = {"name": spec.get("language", "")}
        return wanted

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **kwargs: Any) -> Any:
        """Run a notebook; called by papermill."""
        kwargs.setdefault("kernel_manager_class", GatewayKernelManager)
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)
