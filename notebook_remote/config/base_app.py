"""The base class of our commands that are not servers: it loads the configuration of the server."""

from __future__ import annotations

import contextlib
import sys
from typing import Any, ClassVar

from jupyter_core.application import JupyterApp
from traitlets.config import Application, Config
from traitlets.config.loader import ConfigFileNotFound

from .gateway import Gateway
from .named import Gateways

# The files of `jupyter notebook-remote`; each overrides the ones before.
CONFIG_FILES = (
    "jupyter_config",
    "jupyter_server_config",
    "jupyter_notebook_config",
    "jupyter_notebook_remote_config",
)


class GatewayApp(JupyterApp):
    """A command that takes the options and configuration files of `jupyter notebook-remote`."""

    name = "jupyter-notebook-remote"
    classes: ClassVar[list[type]] = [Gateway, Gateways]
    aliases: ClassVar[dict[str, Any]] = {
        "config": "JupyterApp.config_file",
        "gateway": "Gateways.named",
        "gateway-url": "Gateway.url",
        "gateway-token": "Gateway.auth_token",
        "gateway-token-file": "Gateway.auth_token_file",
        "mode": "Gateway.mode",
    }
    flags: ClassVar[dict[str, Any]] = {
        "debug": ({"Application": {"log_level": 10}}, "Log more, to stderr."),
    }

    def load_config_file(self, suppress_errors: bool = True) -> None:
        """Load the same files as `jupyter notebook-remote`; called while the app is initialized."""
        if self.config_file:
            super().load_config_file(suppress_errors)
            return
        for name in CONFIG_FILES:
            with contextlib.suppress(ConfigFileNotFound):
                Application.load_config_file(self, name, path=self.config_file_paths)

    def parse_command_line(self, argv: Any = None) -> None:
        """Accept all options of `jupyter notebook-remote`; some have no effect here."""
        words = sys.argv[1:] if argv is None else argv
        if self.parent is not None and not {"-h", "--help", "--help-all"} & set(words):
            self.aliases = {**self.parent.aliases, **self.aliases}  # type: ignore[misc]
            self.flags = {**self.parent.flags, **self.flags}  # type: ignore[misc]
        super().parse_command_line(argv)


def configuration(overrides: Config) -> Config:
    """The configuration files of `jupyter notebook-remote`, overridden by ``overrides``.

    For third-party programs with a configuration of their own.
    """
    app = GatewayApp()
    app.load_config_file()
    app.update_config(overrides)
    config: Config = app.config
    return config
