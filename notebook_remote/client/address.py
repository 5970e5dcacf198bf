"""The addresses of a gateway."""

from __future__ import annotations

from ..config.gateway import Gateway
from ..net.urls import websocket_url


class GatewayAddress:
    """The URLs of one gateway; the embedded gateway sets ``url`` each time it has started."""

    def __init__(self, config: Gateway) -> None:
        self._config = config
        self.url: str = config.url

    @property
    def websocket_url(self) -> str:
        """The base URL for WebSockets."""
        return str(self._config.ws_url or websocket_url(self.url))

    @property
    def page_url(self) -> str:
        """The base URL for the WebSockets of pages in direct mode."""
        return str(self._config.page_ws_url or self.websocket_url)
