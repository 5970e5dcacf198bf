"""The command ``jupyter notebook-remote``: our server app and our notebook app, wired together."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, ClassVar

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.application import JupyterApp
from jupyter_core.paths import jupyter_data_dir
from jupyter_server.serverapp import ServerApp, aliases, flags
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.services.sessions.sessionmanager import SessionManager
from notebook.app import JupyterNotebookApp
from traitlets import Unicode, default
from traitlets.config import Application
from traitlets.config.loader import ConfigFileNotFound

from . import handlers
from ._version import __version__
from .config import Gateway
from .embedded import EmbeddedGateway, kernel_config
from .exceptions import without_secrets
from .gateways import GatewayBackend
from .kernels import RemoteMappingKernelManager
from .kernelspecs import RemoteKernelSpecManager
from .links import tell_events
from .local_channels import LocalChannels
from .masking import mask_configuration_in_logs
from .places import shown_to_pages
from .reported import (
    NoKernelSpecManager,
    ReportedKernelManager,
    ReportedSessionManager,
    scope_of,
)
from .sessions import RemoteSessionManager
from .signals import OrderlyServerApp
from .store import Store

OUR_ALIASES = {
    "gateway-url": "Gateway.url",
    "gateway-token": "Gateway.auth_token",
    "gateway-token-file": "Gateway.auth_token_file",
    "mode": "Gateway.mode",
}
EXAMPLES = """\
jupyter notebook-remote                                  # embedded gateway
jupyter notebook-remote --gateway-url=https://gpu:8888   # token in JUPYTER_GATEWAY_AUTH_TOKEN
jupyter notebook-remote --mode=local                     # kernels on this computer
"""
LEAVE_AFTER = 0.5  # seconds for threads to end after everything was cleaned up
CONFIG_FILE = "jupyter_notebook_remote_config"
LABEXTENSIONS = str(Path(__file__).parent / "labextension")


class RemoteServerApp(OrderlyServerApp):
    """A Jupyter server whose kernels, sessions and kernelspecs are those of a gateway.

    The classes are defaults: what the user configures still wins.
    """

    name = "jupyter-server"  # as ServerApp, for the configuration files and `jupyter server list`
    classes: ClassVar[list[type]] = [
        *ServerApp.classes,
        Gateway,
        RemoteMappingKernelManager,
        RemoteSessionManager,
    ]

    gateway: Gateway
    gateway_backend: GatewayBackend | None = None
    embedded_gateway: EmbeddedGateway | None = None

    @default("kernel_manager_class")
    def _default_kernel_manager_class(self) -> type:
        of_mode: dict[str, type] = {
            "local": AsyncMappingKernelManager,
            "browser": ReportedKernelManager,
        }
        return of_mode.get(self.gateway.mode, RemoteMappingKernelManager)

    @default("session_manager_class")
    def _default_session_manager_class(self) -> type:
        if self.pages_run_kernels:
            return ReportedSessionManager
        return RemoteSessionManager if self.runs_remote_kernels else SessionManager

    @default("kernel_spec_manager_class")
    def _default_kernel_spec_manager_class(self) -> type:
        if self.pages_run_kernels:
            return NoKernelSpecManager
        return RemoteKernelSpecManager if self.runs_remote_kernels else KernelSpecManager

    @default("kernel_websocket_connection_class")
    def _default_kernel_websocket_connection_class(self) -> type:
        return LocalChannels  # channels to a gateway have a handler of their own

    @property
    def runs_remote_kernels(self) -> bool:
        """Whether the kernel manager is ours: not in local mode, nor with one of the user's."""
        return issubclass(self.kernel_manager_class, RemoteMappingKernelManager)

    @property
    def pages_run_kernels(self) -> bool:
        """Whether pages do that by themselves, and only report it: in browser mode."""
        return issubclass(self.kernel_manager_class, ReportedKernelManager)

    @property
    def gateways_of_pages(self) -> list[Gateway]:
        """The gateways that pages are told about: where the kernels run that they show."""
        used = self.pages_run_kernels or self.gateway_backend is not None
        return [self.gateway] if used else []

    def init_configurables(self) -> None:
        """Make the gateway's backend before the managers, which use it."""
        self.gateway = Gateway(parent=self)
        if self.runs_remote_kernels:
            if self.gateway.embedded:
                self.embedded_gateway = EmbeddedGateway(
                    self.gateway, self.root_dir, kernel_config(self.config)
                )
                self.gateway_backend = GatewayBackend(self.gateway, self.embedded_gateway.ready)
            else:
                self.gateway_backend = GatewayBackend(self.gateway)
                folder = Path(jupyter_data_dir()) / "notebook-remote"
                where = str(Path(self.root_dir).resolve())
                self.gateway_backend.store = Store(folder, where, self.gateway.url, self.log)
            tell_events(self.event_logger, self.gateway_backend.links)
        self.tornado_settings: dict[str, Any] = {
            "websocket_max_message_size": self.gateway.max_message_size,  # for local kernels
            **self.tornado_settings,
        }
        super().init_configurables()

    def load_server_extensions(self) -> None:
        """Let JupyterLab's pages have our labextension too; called while the app is initialized.

        JupyterLab serves the settings of both, so without this the notebook's would lack ours.
        """
        for lab in self.extension_manager.extension_apps.get("jupyterlab", ()):
            lab.extra_labextensions_path = [LABEXTENSIONS, *lab.extra_labextensions_path]
        super().load_server_extensions()

    def start_ioloop(self) -> None:
        """Start the embedded gateway, or find kernels again, in the loop that this starts."""
        if self.embedded_gateway is not None:
            self.io_loop.add_callback(
                self.embedded_gateway.start,
                on_found=self.kernel_manager.adopt,
                # A session manager of the user's own keeps sessions as it likes.
                on_sessions_file=getattr(self.session_manager, "keep_in", lambda path: None),
            )
        elif self.runs_remote_kernels:
            self.io_loop.add_callback(self.kernel_manager.adopt_stored)
        super().start_ioloop()

    def running_server_info(self, kernel_count: bool = True) -> str:
        """What is logged at start, on Ctrl-C and for SIGINFO."""
        info: str = super().running_server_info(kernel_count)
        info = info.partition("\nKernels will be managed by the Gateway server")[0]
        keep = self.gateway.on_exit == "keep"
        if self.embedded_gateway is not None:
            how = (
                "which outlives this server for a while" if keep else "which stops with this server"
            )
            return f"{info}\nKernels run on an embedded gateway, which {how}."
        if self.gateway_backend is not None:
            how = "and keep running when this server stops" if keep else "until this server stops"
            where = without_secrets(self.gateway.url)
            return f"{info}\nKernels run on the gateway at {where}, {how}."
        if self.gateways_of_pages:
            where = without_secrets(self.gateway.url)
            return f"{info}\nPages run kernels on the gateway at {where}; this server does not."
        return f"{info}\nKernels run on this computer."

    async def cleanup_kernels(self) -> None:
        """Shut the kernels down, and the embedded gateway; called when the server stops."""
        try:
            await super().cleanup_kernels()
        finally:
            if self.embedded_gateway is not None and self.gateway.on_exit == "keep":
                await self.embedded_gateway.leave()
            elif self.embedded_gateway is not None:
                await self.embedded_gateway.stop()
            if self.gateway_backend is not None:
                self.session_manager.close()
                await self.gateway_backend.close()


class RemoteNotebookApp(JupyterNotebookApp):
    """Jupyter Notebook with kernels that run somewhere else: on a kernel gateway.

    Without options it starts an embedded gateway, so that kernels outlive this server if it
    crashes. --gateway-url=URL uses a Jupyter Kernel Gateway, Enterprise Gateway or Jupyter Server;
    --mode=local runs kernels as `jupyter notebook` does.
    """

    # Its name stays "notebook": templates, static files and jupyter_notebook_config.py are those
    # of Jupyter Notebook.
    app_name = "Jupyter Notebook Remote"
    description = __doc__
    version = __version__
    examples = EXAMPLES
    serverapp_class = RemoteServerApp
    classes: ClassVar[list[type]] = [RemoteServerApp, *RemoteServerApp.classes]
    aliases: ClassVar[dict[str, str]] = {**aliases, **OUR_ALIASES}
    flags: ClassVar[dict[str, Any]] = {**flags, **JupyterNotebookApp.flags}
    subcommands: ClassVar[dict[str, Any]] = {
        **JupyterNotebookApp.subcommands,
        "doctor": ("notebook_remote.doctor_app.DoctorApp", "Say what works with the gateway."),
    }

    # Ours, so that the pages find our labextension; LabApp serves the stock address without it.
    labextensions_url = Unicode("/notebook-remote/labextensions").tag(config=True)

    @default("extra_labextensions_path")
    def _default_extra_labextensions_path(self) -> list[str]:
        return [LABEXTENSIONS]

    @classmethod
    def make_serverapp(cls, **kwargs: Any) -> ServerApp:
        """Make the server app; the stock notebook extension would shadow our pages."""
        kwargs["jpserver_extensions"] = {**kwargs["jpserver_extensions"], "notebook": False}
        return super().make_serverapp(**kwargs)

    def load_config_file(self, suppress_errors: bool = True) -> None:
        """Load jupyter_notebook_config, then ours over it."""
        super().load_config_file(suppress_errors)
        if not self.config_file:
            try:
                Application.load_config_file(self, CONFIG_FILE, path=self.config_file_paths)
            except ConfigFileNotFound:
                self.log.debug("Config file not found, skipping: %s", CONFIG_FILE)

    def write_default_config(self) -> None:
        """Write our configuration file, not Jupyter Notebook's; for --generate-config."""
        self.config_file_name = CONFIG_FILE
        JupyterApp.write_default_config(self)

    def initialize_handlers(self) -> None:
        """Add our routes, which come before the stock ones."""
        assert isinstance(self.serverapp, RemoteServerApp)  # noqa: S101 - for the type checker
        self.handlers.extend(handlers.CHECKED)
        if self.serverapp.gateways_of_pages:
            secret = self.serverapp.cookie_secret
            told = shown_to_pages(
                self.serverapp.gateways_of_pages, lambda url: scope_of(secret, url)
            )
            page_config = self.serverapp.web_app.settings.setdefault("page_config_data", {})
            page_config["notebookRemote"] = json.dumps(told)
        if self.serverapp.gateway_backend is not None:
            self.handlers.extend(handlers.REMOTE)
        specs = self.serverapp.kernel_spec_manager
        if isinstance(specs, (RemoteKernelSpecManager, NoKernelSpecManager)):
            self.handlers.extend(handlers.KERNELSPECS)
        super().initialize_handlers()


def main() -> None:
    """Run the command until it is stopped, and then leave.

    A request that is still being answered in a thread (importing nbconvert, say) would keep the
    process for as long as it takes, or for ever, as it does with `jupyter notebook`.
    """
    mask_configuration_in_logs()
    RemoteNotebookApp.launch_instance()
    leave = threading.Timer(LEAVE_AFTER, os._exit, args=(0,))
    leave.daemon = True
    leave.start()
