"""The channels of kernels on this computer: jupyter_server's, without waiting for small packets."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class LocalChannels(ZMQChannelsWebsocketConnection):
    """Used in local mode, and in the embedded gateway.

    The stock server leaves Nagle's algorithm on, so the second of two small messages waits for the
    browser's acknowledgement of the first, which it delays by 40 ms.
    """

    def connect(self) -> Any:
        """Connect the WebSocket to the kernel's sockets; called when it has been opened."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()
