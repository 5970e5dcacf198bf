"""The process of an embedded gateway: a Jupyter Server for kernels only, on loopback.

Started by ``supervisor`` with its settings as JSON on stdin. Its owner is the notebook server that
holds the *lease*, a WebSocket. There is one lease at a time, and it ends when the owner's process
ends. Without an owner for ``linger`` seconds the gateway stops.
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
from ..compat.signals import OrderlyServerApp, exit_soon
from ..net.host import this_computer
from . import lease

# The add-on, for direct mode, is an optional distribution.
try:
    from notebook_remote_gateway import jupyter_server as add_on
except ImportError:
    add_on = None  # type: ignore[assignment]
MAX_LOG_SIZE = 5 * 1024 * 1024  # bytes; kernels write to the log as well
TRUNCATED_LOG_SIZE = 256 * 1024  # bytes at its end that stay
LOG_CHECK_INTERVAL = 1  # seconds
FIRST_OWNER_TIMEOUT = 60.0  # seconds until the server that started us must have taken the lease
KERNEL = r"(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)"


class LeaseHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """The lease: its notebook server owns the gateway while the WebSocket is open.

    Anybody may connect; then both ends prove that they know the token, without sending it.
    """

    auth_resource = "server"
    _server_nonce = ""

    @allow_unauthenticated
    async def get(self) -> None:
        """Open the WebSocket."""
        await super().get()

    @property
    def app(self) -> EmbeddedGatewayApp:
        """The gateway's app."""
        app = self.settings["serverapp"]
        assert isinstance(app, EmbeddedGatewayApp)  # noqa: S101 - for the type checker
        return app

    def open(self, *args: str, **kwargs: str) -> None:
        """Wait for a proof, for HANDSHAKE_TIMEOUT; called by tornado."""
        super().open(*args, **kwargs)
        self._peer = lease.Peer(self.identity_provider.token, self.app.port, is_gateway=True)
        self.app.io_loop.call_later(lease.HANDSHAKE_TIMEOUT, self._close_unproven)

    def on_message(self, text: str | bytes) -> None:
        """Answer the server's nonce, then check its proof, and grant the lease if it is free."""
        try:
            message = lease.parse_message(text)
            if not self._server_nonce:
                self._server_nonce = str(message.get("nonce", ""))
                proof = self._peer.prove(self._server_nonce)
                self.write_message({"nonce": self._peer.nonce, "proof": proof})
            elif self.app.lease is not self:
                self._peer.check(message.get("proof"), self._server_nonce)
                free = self.app.lease is None
                if free:
                    self.app.lease = self
                self.write_message({"granted": free})
        except lease.AuthenticationFailed:
            self.close()

    def _close_unproven(self) -> None:
        if self.app.lease is not self:
            self.close()

    def on_close(self) -> None:
        """Note that the notebook server has gone; called by tornado."""
        self.app.on_lease_end(self)


class EmbeddedKernelsHandler(MainKernelHandler):
    """``POST /api/kernels`` that also accepts environment variables for the kernel.

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
        """Update the environment."""
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
    _orphan_timer: object = None

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
        self._await_owner(max(self.linger, FIRST_OWNER_TIMEOUT))
        PeriodicCallback(self._shorten_log, LOG_CHECK_INTERVAL * 1000).start()

    def _shorten_log(self) -> None:
        """Truncate a long log to its end; it contains the output of kernels' processes too."""
        with contextlib.suppress(OSError):
            if os.stat(self.log_file).st_size > MAX_LOG_SIZE:
                with open(self.log_file, "rb+") as file:
                    file.seek(-TRUNCATED_LOG_SIZE, os.SEEK_END)
                    end = file.read()
                    file.truncate(0)
                # All writers append, so that the file has no hole.
                with open(self.log_file, "ab") as file:
                    file.write(b"[...]\n" + end)

    def server_info(self) -> dict[str, Any]:
        """The content of the server info file: also on which computer we run.

        Its folder may be shared with other computers, where our process id means another process.
        """
        host, boot = this_computer()
        return {**super().server_info(), "host": host, "boot": boot}

    def write_server_info_file(self) -> None:
        """Write the server info file, once the port is open; called at start."""
        self.io_loop.add_callback(super().write_server_info_file)

    def on_lease_end(self, lease: LeaseHandler) -> None:
        """Wait ``linger`` seconds for a new owner; called when a lease ends."""
        if self.lease is lease:
            self.lease = None
            self._await_owner(self.linger)

    def _await_owner(self, seconds: float) -> None:
        if self._orphan_timer is not None:
            self.io_loop.remove_timeout(self._orphan_timer)
        self._orphan_timer = self.io_loop.call_later(seconds, self._stop_if_orphaned)

    def _stop_if_orphaned(self) -> None:
        self._orphan_timer = None
        if self.lease is None:
            self.log.warning("No notebook server uses this gateway any more: stopping")
            self.stop()


def free_port() -> int:
    """A free port; if it is taken a moment later, jupyter_server tries others.

    Replace by ``port=0`` when jupyter_server 2.20 is the oldest version that we support.
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
    app.load_config_file = lambda *args, **kwargs: None  # the parent sends the configuration
    app.initialize(argv=[], find_extensions=False)
    app.start()
    exit_soon()


if __name__ == "__main__":
    main()
