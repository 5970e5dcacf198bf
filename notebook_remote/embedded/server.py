"""The process of an embedded gateway: a Jupyter Server for kernels only, on loopback.

Started by ``embedded.py`` with its settings as JSON on stdin. It belongs to the notebook server
that holds its *lease*, a WebSocket: there is one at a time, and it ends with the process that holds
it, however that ends. Without one for ``linger`` seconds the gateway stops by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import sys
from typing import Any, ClassVar

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import allow_unauthenticated, authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.services.kernels.handlers import KernelHandler, MainKernelHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.ioloop import PeriodicCallback
from tornado.websocket import WebSocketHandler
from traitlets import default
from traitlets.config import Config

from ..compat.local_channels import LocalChannels
from ..compat.local_kernels import LocalKernelManager
from ..compat.signals import OrderlyServerApp, leave
from ..net.host import this_computer
from . import lease

# The add-on, for direct mode, is a distribution of its own; the gateway works without it.
try:
    from notebook_remote_gateway import jupyter_server as add_on
except ImportError:
    add_on = None  # type: ignore[assignment]
LOG_LIMIT = 5 * 1024 * 1024  # bytes of its log, to which kernels write as well
LOG_KEPT = 256 * 1024  # bytes of its end that stay
LOG_CHECK = 1  # seconds
FIRST_OWNER = 60.0  # seconds until whoever started us must have taken the lease
KERNEL = r"(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)"


class LeaseHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """Holds the gateway for one notebook server, for as long as its connection lasts.

    Anybody may connect; both ends then prove that they know the token, without sending it.
    """

    auth_resource = "server"
    _server_nonce = ""

    @allow_unauthenticated
    async def get(self) -> None:
        """Open the WebSocket."""
        await super().get()

    @property
    def app(self) -> EmbeddedGatewayApp:
        """The app whose lease it is."""
        app = self.settings["serverapp"]
        assert isinstance(app, EmbeddedGatewayApp)  # noqa: S101 - for the type checker
        return app

    def open(self, *args: str, **kwargs: str) -> None:
        """Wait for a proof, but not for long; called by tornado."""
        super().open(*args, **kwargs)
        self._side = lease.Side(self.identity_provider.token, self.app.port, is_gateway=True)
        self.app.io_loop.call_later(lease.LIMIT, self._close_unproven)

    def on_message(self, text: str | bytes) -> None:
        """Answer the server's number, then check its proof and give the lease if it is free."""
        try:
            message = lease.message(text)
            if not self._server_nonce:
                self._server_nonce = str(message.get("nonce", ""))
                proof = self._side.prove(self._server_nonce)
                self.write_message({"nonce": self._side.nonce, "proof": proof})
            elif self.app.lease is not self:
                self._side.check(message.get("proof"), self._server_nonce)
                free = self.app.lease is None
                if free:
                    self.app.lease = self
                self.write_message({"granted": free})
        except lease.NotProven:
            self.close()

    def _close_unproven(self) -> None:
        if self.app.lease is not self:
            self.close()

    def on_close(self) -> None:
        """Note that the notebook server has gone; called by tornado."""
        self.app.released(self)


class EmbeddedKernelsHandler(MainKernelHandler):
    """``POST /api/kernels`` that also takes the document's name for the kernel's environment.

    The stock handler ignores ``env``; with local kernels jupyter_server sets JPY_SESSION_NAME.
    """

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Start a kernel."""
        model = self.get_json_body() or {}
        manager = self.kernel_manager
        kernel_id = await ensure_async(
            manager.start_kernel(
                kernel_name=model.get("name") or manager.default_kernel_name,
                path=model.get("path"),
                kernel_id=model.get("kernel_id"),
                env=model.get("env") or {},
            )
        )
        self.set_status(201)
        self.finish(json.dumps(await ensure_async(manager.kernel_model(kernel_id)), default=str))


class EmbeddedKernelHandler(KernelHandler):
    """``/api/kernels/<id>``, with a PATCH of the environment for the kernel's next restart.

    With local kernels jupyter_server changes JPY_SESSION_NAME when a document is renamed.
    """

    @web.authenticated
    @authorized
    async def patch(self, kernel_id: str) -> None:
        """Change variables."""
        model = self.get_json_body() or {}
        self.kernel_manager.get_kernel(kernel_id).update_env(env=model.get("env") or {})
        self.finish(json.dumps(await ensure_async(self.kernel_manager.kernel_model(kernel_id))))


class EmbeddedGatewayApp(OrderlyServerApp):
    """A Jupyter Server reduced to what a gateway needs."""

    default_services: ClassVar[tuple[str, ...]] = (
        "api",
        "auth",
        "kernels",
        "kernelspecs",
        "shutdown",
    )
    lease: LeaseHandler | None = None
    log_file = ""
    linger = 0.0
    _orphaned: object = None

    @default("kernel_manager_class")
    def _default_kernel_manager_class(self) -> type:
        return LocalKernelManager

    @default("kernel_websocket_connection_class")
    def _default_kernel_websocket_connection_class(self) -> type:
        return LocalChannels

    def init_webapp(self) -> None:
        """Add our routes; called while the app is initialized."""
        super().init_webapp()
        self.web_app.settings["serverapp"] = self
        base = self.web_app.settings["base_url"]
        self.web_app.add_handlers(
            ".*$",
            [
                (url_path_join(base, lease.PATH), LeaseHandler),
                (url_path_join(base, "/api/kernels"), EmbeddedKernelsHandler),
                (url_path_join(base, rf"/api/kernels/{KERNEL}"), EmbeddedKernelHandler),
            ],
        )
        if add_on is not None:
            add_on.install(self)
        self._await_owner(max(self.linger, FIRST_OWNER))
        PeriodicCallback(self._shorten_log, LOG_CHECK * 1000).start()

    def _shorten_log(self) -> None:
        """Keep the log's end only, once it is long: what kernels print themselves is in it too."""
        with contextlib.suppress(OSError):
            if os.stat(self.log_file).st_size > LOG_LIMIT:
                with open(self.log_file, "rb+") as file:
                    file.seek(-LOG_KEPT, os.SEEK_END)
                    end = file.read()
                    file.truncate(0)
                # All who write append, so that nobody leaves a hole.
                with open(self.log_file, "ab") as file:
                    file.write(b"[...]\n" + end)

    def server_info(self) -> dict[str, Any]:
        """What stands in the file by which we are found: on which computer, too.

        Its folder may be shared with others, on which our process id means another process.
        """
        host, boot = this_computer()
        return {**super().server_info(), "host": host, "boot": boot}

    def write_server_info_file(self) -> None:
        """Write the file by which we are found, once the port is open; called at start."""
        self.io_loop.add_callback(super().write_server_info_file)

    def released(self, lease: LeaseHandler) -> None:
        """Wait ``linger`` seconds for a new owner; called when a lease ends."""
        if self.lease is lease:
            self.lease = None
            self._await_owner(self.linger)

    def _await_owner(self, seconds: float) -> None:
        if self._orphaned is not None:
            self.io_loop.remove_timeout(self._orphaned)
        self._orphaned = self.io_loop.call_later(seconds, self._stop_if_orphaned)

    def _stop_if_orphaned(self) -> None:
        self._orphaned = None
        if self.lease is None:
            self.log.warning("No notebook server uses this gateway any more: stopping")
            self.stop()


def free_port() -> int:
    """A port nobody listens at; if somebody does a moment later, jupyter_server tries others.

    Its ``port=0`` will do when 2.20 is the oldest version we support.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    """Run an embedded gateway; its settings are one JSON object on stdin."""
    settings: dict[str, Any] = json.load(sys.stdin)
    os.chdir(settings["cwd"])  # where a kernel without a document starts
    config = Config(settings["config"])
    # A token that jupyter_server makes itself is printed with its address.
    config.IdentityProvider.token = secrets.token_hex(32)
    config.ServerApp.update(
        {
            "allow_root": True,
            "ip": "127.0.0.1",
            "no_browser_open_file": True,
            "open_browser": False,
            "port": free_port(),
            "root_dir": settings["root_dir"],
            "terminals_enabled": False,
            "tornado_settings": {"websocket_max_message_size": settings["max_message_size"]},
        }
    )
    app = EmbeddedGatewayApp(config=config, log_level=settings["log_level"])
    app.info_file = settings["info_file"]
    app.no_browser_open_file = True
    app.log_file = settings["log_file"]
    app.linger = float(settings["linger"])
    app.load_config_file = lambda *args, **kwargs: None  # the parent sends what matters
    app.initialize(argv=[], find_extensions=False)
    app.start()
    leave()


if __name__ == "__main__":
    main()
