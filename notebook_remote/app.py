"""The command ``jupyter notebook-remote``: our server app and our notebook app, wired together."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_core.application import JupyterApp
from jupyter_core.paths import jupyter_data_dir
from jupyter_server.serverapp import ServerApp, aliases, flags
from jupyter_server.services.sessions.sessionmanager import SessionManager
from jupyter_server.utils import url_path_join
from notebook.app import JupyterNotebookApp
from traitlets import Dict, Unicode, default
from traitlets.config import Application, Config
from traitlets.config.loader import ConfigFileNotFound

from ._version import __version__
from .backends.browser import scope_of
from .backends.manager import BackendManager
from .backends.registry import BackendRegistry
from .backends.remote.multikernel_manager import RemoteMappingKernelManager
from .compat.local_channels import LocalChannels
from .compat.notebook_locks import with_notebook_locks
from .compat.signals import KERNELS_TIMEOUT, OrderlyServerApp, exit_soon
from .config.gateway import Gateway
from .config.named import Gateways
from .handlers import routes
from .handlers.channels import ChannelsHandler, GatewayKernelMatcher
from .handlers.kernels import KernelUsageHandler
from .handlers.page_config import page_config
from .handlers.request_log import log_request
from .redaction import redact_configuration_in_logs
from .services.kernel_manager import RoutedKernelManager
from .services.kernelspec_manager import RoutedKernelSpecManager
from .services.server_clients import ServerKernelClient
from .services.session_manager import RemoteSessionManager
from .storage.session_store import SessionStore

OUR_ALIASES = {
    "gateway": "Gateways.named",
    "gateway-url": "Gateway.url",
    "gateway-token": "Gateway.auth_token",
    "gateway-token-file": "Gateway.auth_token_file",
    "mode": "Gateway.mode",
}
EXAMPLES = """\
jupyter notebook-remote                                  # embedded gateway
jupyter notebook-remote --gateway-url=https://gpu:8888   # token in JUPYTER_GATEWAY_AUTH_TOKEN
jupyter notebook-remote --gateway=gpu=https://gpu:8888   # beside kernels of this computer
jupyter notebook-remote --mode=local                     # kernels on this computer only
"""
CONFIG_FILE = "jupyter_notebook_remote_config"
LABEXTENSIONS = str(Path(__file__).parent / "labextension")


class RemoteServerApp(OrderlyServerApp):
    """A Jupyter server whose kernels, sessions and kernelspecs are those of a gateway.

    The manager classes are defaults, which the user's configuration overrides. Started by our
    command, or by JupyterHub with JUPYTERHUB_SINGLEUSER_APP.
    """

    name = "jupyter-server"  # as ServerApp, for the configuration files and `jupyter server list`
    classes: ClassVar[list[type]] = [
        *ServerApp.classes,
        Gateway,
        Gateways,
        RemoteMappingKernelManager,
        RemoteSessionManager,
    ]
    aliases = Dict({**aliases, **OUR_ALIASES})

    contents_manager_class: type
    gateway_configs: list[Gateway]  # in the order in which pages show them
    backend_manager: BackendManager | None = None

    @default("kernel_manager_class")
    def _default_kernel_manager_class(self) -> type:
        return RoutedKernelManager

    @default("session_manager_class")
    def _default_session_manager_class(self) -> type:
        return RemoteSessionManager if self.routes_kernels else SessionManager

    @default("kernel_spec_manager_class")
    def _default_kernel_spec_manager_class(self) -> type:
        return RoutedKernelSpecManager if self.routes_kernels else KernelSpecManager

    @default("kernel_websocket_connection_class")
    def _default_kernel_websocket_connection_class(self) -> type:
        return LocalChannels  # for local kernels; channels to a gateway have another handler

    @property
    def routes_kernels(self) -> bool:
        """Whether the kernel manager class is ours, and not one that the user has configured."""
        return issubclass(self.kernel_manager_class, RoutedKernelManager)

    @property
    def backends(self) -> BackendRegistry | None:
        """The places where kernels run; used by the managers."""
        return self.backend_manager.backends if self.backend_manager is not None else None

    @property
    def store(self) -> SessionStore | None:
        """The store on disk; used by the session manager."""
        return self.backend_manager.store if self.backend_manager is not None else None

    def init_configurables(self) -> None:
        """Make the backends before the managers, which use them."""
        gateways = Gateways(parent=self)
        self.gateway_configs = gateways.all()
        if self.routes_kernels:
            folder = Path(jupyter_data_dir()) / "notebook-remote"
            self.backend_manager = BackendManager(self, gateways, folder, ServerKernelClient)
            self.backend_manager.add_all(self.gateway_configs)
            if any(backend.config.mode == "local" for backend in self.backend_manager.backends):
                # A class that the user has configured lists the kernelspecs of this computer only.
                self.kernel_spec_manager_class = RoutedKernelSpecManager
        self.tornado_settings: dict[str, Any] = {
            # For kernels of this computer.
            "websocket_max_message_size": self.gateway_configs[0].max_message_size,
            "log_function": partial(
                log_request,
                record_prometheus_metrics=getattr(self, "record_http_request_metrics", True),
            ),
            **self.tornado_settings,
        }
        self._warn_of_compression()
        self.contents_manager_class = with_notebook_locks(self.contents_manager_class)
        super().init_configurables()

    def _warn_of_compression(self) -> None:
        options = getattr(self, "websocket_compression_options", None)
        if options is not None and any(backend.relays_channels for backend in self.backends or ()):
            self.log.warning(
                "websocket_compression_options is used for kernels that this server runs itself"
                " only: of kernels on a gateway messages are relayed as they come."
            )

    def find_server_extensions(self) -> None:
        """Serve our pages, however this app was started, and not those of Jupyter Notebook."""
        self.jpserver_extensions.update({"notebook_remote": True, "notebook": False})
        super().find_server_extensions()

    def load_server_extensions(self) -> None:
        """Add our labextension to JupyterLab's pages too; called while the app is initialized.

        JupyterLab serves the settings of both, so without this Notebook's would lack ours.
        """
        for lab in self.extension_manager.extension_apps.get("jupyterlab", ()):
            lab.extra_labextensions_path = [LABEXTENSIONS, *lab.extra_labextensions_path]
        super().load_server_extensions()

    def start_ioloop(self) -> None:
        """Start the event loop, and the backends in it."""
        if self.backend_manager is not None:
            for backend in self.backend_manager.backends:
                self.io_loop.add_callback(self.backend_manager.start, backend)
        super().start_ioloop()

    def running_server_info(self, kernel_count: bool = True) -> str:
        """The text that is logged at start, on Ctrl-C and for SIGINFO."""
        info: str = super().running_server_info(kernel_count)
        info = info.partition("\nKernels will be managed by the Gateway server")[0]
        if self.backends is not None:
            return "\n".join([info, *(backend.description() for backend in self.backends)])
        return f"{info}\nKernels run on this computer."

    async def cleanup_kernels(self) -> None:
        """Shut the kernels down, and the embedded gateway; called when the server stops."""
        await super().cleanup_kernels()
        if self.backend_manager is not None:
            self.session_manager.close()
            await self._run_step(
                KERNELS_TIMEOUT, "Leaving the gateways", self.backend_manager.stop()
            )


class RemoteNotebookApp(JupyterNotebookApp):
    """Jupyter Notebook with kernels that run somewhere else: on a kernel gateway.

    Without options it starts an embedded gateway, so that kernels outlive this server if it
    crashes. --gateway-url=URL uses a Jupyter Kernel Gateway, Enterprise Gateway or Jupyter Server;
    --mode=local runs kernels as `jupyter notebook` does.
    """

    # The inherited name is "notebook", for Jupyter Notebook's templates, static files and
    # jupyter_notebook_config.py.
    app_name = "Jupyter Notebook Remote"
    description = __doc__
    version = __version__
    examples = EXAMPLES
    serverapp_class = RemoteServerApp
    classes: ClassVar[list[type]] = [RemoteServerApp, *RemoteServerApp.classes]
    aliases: ClassVar[dict[str, str]] = {**aliases, **OUR_ALIASES}
    flags: ClassVar[dict[str, Any]] = {**flags, **JupyterNotebookApp.flags}
    subcommand_description = "They are called as `jupyter notebook-remote COMMAND [options]`."
    subcommands: ClassVar[dict[str, Any]] = {
        **JupyterNotebookApp.subcommands,
        "doctor": ("notebook_remote.cli.doctor.DoctorApp", "Say what works with the gateways."),
        "kernels": (
            "notebook_remote.cli.kernels.KernelsApp",
            "List your kernels on all gateways, and shut them down.",
        ),
        "run": ("notebook_remote.cli.run.RunApp", "Run notebooks without a page."),
    }

    # Ours, so that the pages find our labextension; LabApp serves the stock address without it.
    labextensions_url = Unicode("/notebook-remote/labextensions").tag(config=True)

    @default("extra_labextensions_path")
    def _default_extra_labextensions_path(self) -> list[str]:
        return [LABEXTENSIONS]

    def load_config_file(self, suppress_errors: bool = True) -> None:
        """Load jupyter_notebook_config, then ours over it."""
        super().load_config_file(suppress_errors)
        if not self.config_file:
            try:
                Application.load_config_file(self, CONFIG_FILE, path=self.config_file_paths)
            except ConfigFileNotFound:
                self.log.debug("Config file not found, skipping: %s", CONFIG_FILE)

    def shim_config_from_notebook_to_jupyter_server(self, config: Config) -> Config:
        """Move the server's options out of the section JupyterNotebookApp, as upstream does.

        Upstream uses the section of the app's own class, which here is ours. Called with the
        configuration of each file and of the command line.
        """
        section = Config(config.pop(JupyterNotebookApp.__name__, {}))
        if section:
            section.merge(config.get(type(self).__name__, {}))
            config[type(self).__name__] = section
        moved: Config = super().shim_config_from_notebook_to_jupyter_server(config)
        return moved

    def write_default_config(self) -> None:
        """Write our configuration file, not Jupyter Notebook's; for --generate-config."""
        self.config_file_name = CONFIG_FILE
        JupyterApp.write_default_config(self)

    def initialize_handlers(self) -> None:
        """Add our routes, which come before those of jupyter_server."""
        assert isinstance(self.serverapp, RemoteServerApp)  # noqa: S101 - for the type checker
        self.handlers.extend(routes.CHECKED)
        if self.serverapp.backend_manager is not None and self.serverapp.backends is not None:
            update = partial(self._update_page_config, self.serverapp)
            update()
            self.serverapp.backend_manager.on_change = update
            self.handlers.extend(routes.ROUTED)
            self.handlers.extend(routes.routes(self.serverapp.backend_manager))
            web_app = self.serverapp.web_app
            channels = url_path_join(web_app.settings["base_url"], routes.CHANNELS)
            matcher = GatewayKernelMatcher(channels, self.serverapp.backends)
            web_app.add_handlers(".*$", [(matcher, ChannelsHandler)])
            usage = url_path_join(web_app.settings["base_url"], routes.USAGE)
            matcher = GatewayKernelMatcher(usage, self.serverapp.backends)
            web_app.add_handlers(".*$", [(matcher, KernelUsageHandler)])
            # In front of the route of jupyter-resource-usage, which may have been loaded before.
            rules = web_app.default_router.rules
            rules.insert(0, rules.pop(-2))
        if isinstance(self.serverapp.kernel_spec_manager, RoutedKernelSpecManager):
            self.handlers.extend(routes.KERNELSPECS)
        super().initialize_handlers()

    def _update_page_config(self, serverapp: RemoteServerApp) -> None:
        secret = serverapp.cookie_secret
        configs = serverapp.gateway_configs
        if serverapp.backends is not None:
            configs = [backend.config for backend in serverapp.backends]
        model = page_config(configs, lambda url: scope_of(secret, url))
        data = serverapp.web_app.settings.setdefault("page_config_data", {})
        data["notebookRemote"] = json.dumps(model)


def main() -> None:
    """Run the command until it is stopped, and end the process."""
    redact_configuration_in_logs()
    RemoteNotebookApp.launch_instance()
    exit_soon()
