"""The channels of kernels on this computer: jupyter_server's, with workarounds for two faults.

``patches/`` fixes both, for gateways that run a stock server.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado import web


class LocalChannels(ZMQChannelsWebsocketConnection):
    """The kernels' WebSocket in local mode, and in the embedded gateway.

    The stock class leaves Nagle's algorithm enabled, so the second of two small messages waits for
    the browser's acknowledgement of the first, which it delays by 40 ms.

    When a page disconnects during the handshake, the stock class decrements the count of
    connections, which it increments only after the handshake. From then on it does not buffer the
    kernel's output for a page that lost its connection.
    """

    _opened = False  # whether the handshake has completed
    _page_disconnected = False

    async def prepare(self) -> None:
        """Wait for the kernel; called in the handshake. Raises Finish if the page disconnected."""
        await super().prepare()
        if self._page_disconnected:
            raise web.Finish

    def connect(self) -> Any:
        """Connect the WebSocket to the kernel's sockets; called after the handshake."""
        self.websocket_handler.set_nodelay(True)
        self._opened = True
        return super().connect()

    def disconnect(self) -> None:
        """Disconnect from the kernel; called when the page disconnects, even in the handshake."""
        self._page_disconnected = True
        if self._opened:
            self._opened = False
            super().disconnect()
        elif self._open_sessions.get(self.session_key) is self.websocket_handler:
            del self._open_sessions[self.session_key]
