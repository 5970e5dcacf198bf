"""The channels route: authorizes, dials the gateway, and relays between page and gateway."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import anyio
from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches

from ..backends.registry import BackendRegistry
from ..backends.remote.gateway import ManagedGateway
from ..backends.remote.kernel_manager import RemoteKernelManager
from ..backends.remote.links import Link
from ..client.channels import BUSY_TIMEOUT, RETURNED, OpenChannels, open_channels
from ..exceptions import GatewayError, GatewayUnreachable, KernelNotFound
from ..net.relay import Relay
from .base import RedactedLog
from .message_filter import MessageFilter


class ChannelsHandler(RedactedLog, WebSocketMixin, JupyterHandler):
    """Opens a kernel's channels for a page, with the same checks as jupyter_server's handler."""

    auth_resource = "kernels"
    SUPPORTED_METHODS = ("GET",)

    def set_default_headers(self) -> None:
        """Set none: jupyter_server's headers make no sense for a WebSocket."""

    def get_origin(self) -> str | None:
        """The page's origin, for ``check_origin`` of WebSocketMixin."""
        headers = self.request.headers
        origin: str | None = headers.get("Origin") or headers.get("Sec-Websocket-Origin")
        return origin

    @ws_authenticated
    async def get(self, kernel_id: str) -> None:
        """Handle the page's handshake, then relay until one side ends."""
        self._check_handshake()
        user = self.current_user
        if not await ensure_async(
            self.authorizer.is_authorized(self, user, "execute", self.auth_resource)
        ):
            raise web.HTTPError(403)
        await self.kernel_manager.backends.ready()
        kernel: RemoteKernelManager = self.kernel_manager.get_kernel(kernel_id)
        links = kernel.gateway.links
        link = links.open(kernel_id, self.get_argument("session_id", ""))
        self._dialling = asyncio.ensure_future(self._dial(kernel.gateway, link))
        try:
            opened = await self._dialling
        except asyncio.CancelledError:
            links.remove(link)
            return  # the page has left meanwhile
        except GatewayError as error:
            links.on_failure(link, error)
            raise
        if kernel_id not in self.kernel_manager:
            opened.close()  # the kernel was shut down meanwhile
            links.remove(link)
            raise KernelNotFound(f"The kernel {kernel_id} was shut down.")
        await self._relay(kernel.gateway, link, opened)

    def on_connection_close(self) -> None:
        """Stop dialling for a page that has left; called by tornado."""
        dialling = getattr(self, "_dialling", None)
        if dialling is not None:
            dialling.cancel()

    def _check_handshake(self) -> None:
        headers = self.request.headers
        upgrade = headers.get("Upgrade", "").lower()
        connection = {part.strip().lower() for part in headers.get("Connection", "").split(",")}
        key = headers.get("Sec-WebSocket-Key", "")
        if upgrade != "websocket" or "upgrade" not in connection or not key:
            raise web.HTTPError(400, "This address is for WebSockets only.")
        if headers.get("Sec-WebSocket-Version") not in ("7", "8", "13"):
            self.set_header("Sec-WebSocket-Version", "13")
            raise web.HTTPError(426, "This WebSocket version is not supported.")
        if not self.check_origin(self.get_origin()):
            raise web.HTTPError(403, "Cross origin websockets not allowed")

    async def _dial(self, gateway: ManagedGateway, link: Link) -> OpenChannels:
        """Open the channels at the gateway; retry while it does not answer at all.

        Attempts end with ``Gateway.connect_timeout``: a browser opens one WebSocket at a time to
        a host, so a page that waits here keeps the others waiting.
        """
        config = gateway.config
        deadline = time.monotonic() + config.connect_timeout
        pause = config.gateway_retry_interval
        attempts = config.gateway_retry_max + 1
        for attempt in itertools.count(1):
            gateway.links.on_attempt(link, attempt, attempts)
            try:
                return await gateway.handshakes.run(
                    (link.kernel_id, link.session_id),
                    lambda: open_channels(
                        gateway, link.kernel_id, link.session_id, self.request.headers
                    ),
                )
            except GatewayUnreachable:
                if attempt == attempts or time.monotonic() + pause >= deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, config.gateway_retry_interval_max)
        raise AssertionError("the loop above ends by itself")

    async def _relay(self, gateway: ManagedGateway, link: Link, opened: OpenChannels) -> None:
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"{n}: {opened.headers[n]}" for n in RETURNED if n in opened.headers]
        links, config = gateway.links, gateway.config
        message_filter = MessageFilter(
            opened.headers.get("Sec-WebSocket-Protocol"),
            config.max_message_size,
            refused=lambda sentence: links.on_message_refused(link, sentence),
            latest_from_kernel=lambda: relay.latest_from_gateway,
            is_busy=lambda: _is_busy(gateway, link.kernel_id),
        )
        relay = Relay(
            self.detach(),
            opened.stream,
            message_filter,
            link_timeout=config.link_timeout,
            buffer_size=config.relay_buffer_size,
            report=lambda: links.measure(link),
            gateway_answers=gateway.answers,
        )
        unsent, link.unsent = link.unsent, b""
        links.on_connected(link, relay)
        self.log.info("Channels of kernel %s opened", link.kernel_id)
        try:
            await relay.run("\r\n".join([*lines, "", ""]).encode("latin1"), unsent)
        finally:
            reason = relay.close()
            links.on_disconnected(link, reason)
            self.log.info("Channels of kernel %s ended: %s", link.kernel_id, reason.text)
            if (reason.by, reason.kind) == ("gateway", "silent"):
                await gateway.client.renew_connections()


async def _is_busy(gateway: ManagedGateway, kernel_id: str) -> bool:
    """Whether a kernel is busy, as far as its gateway knows."""
    try:
        with anyio.fail_after(BUSY_TIMEOUT):
            model = await gateway.client.kernel(kernel_id)
    except (GatewayError, TimeoutError):
        return False
    return bool(model["execution_state"] == "busy")


class GatewayKernelMatcher(PathMatches):
    """Matches a route for kernels on gateways only; jupyter_server's matches local kernels."""

    def __init__(self, pattern: str, backends: BackendRegistry) -> None:
        super().__init__(pattern)
        self._backends = backends

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """The route's arguments, or None; called by tornado for each request."""
        found: dict[str, Any] | None = super().match(request)
        kernel_id = found["path_kwargs"]["kernel_id"].decode() if found else ""
        backend = self._backends.of_kernel(kernel_id)
        return found if backend is None or backend.relays_channels else None
