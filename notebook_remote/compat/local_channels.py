"""The channels of kernels on this computer: jupyter_server's, with two of its faults worked around.

Both are also patches for gateways that run a stock server; see ``patches/``.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from tornado import web


class LocalChannels(ZMQChannelsWebsocketConnection):
    """Used in local mode, and in the embedded gateway.

    The stock server leaves Nagle's algorithm on, so the second of two small messages waits for the
    browser's acknowledgement of the first, which it delays by 40 ms.

    And it counts a page that hangs up in the handshake as one connection less, since only
    connections that got further were counted. From then on the kernel's output is not kept any
    more for a page whose link is lost.
    """

    _opened = False  # whether it got further than the handshake
    _left = False  # whether the page has gone

    async def prepare(self) -> None:
        """Wait for the kernel; called in the handshake. Raises Finish if the page has left."""
        await super().prepare()
        if self._left:
            raise web.Finish

    def connect(self) -> Any:
        """Connect the WebSocket to the kernel's sockets; called when it has been opened."""
        self.websocket_handler.set_nodelay(True)
        self._opened = True
        return super().connect()

    def disconnect(self) -> None:
        """Undo it; called when the page has gone, also if that was in the handshake."""
        self._left = True
        if self._opened:
            self._opened = False
            super().disconnect()
        elif self._open_sessions.get(self.session_key) is self.websocket_handler:
            del self._open_sessions[self.session_key]
