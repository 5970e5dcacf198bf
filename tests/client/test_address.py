"""The URLs of one gateway, with and without options for them."""

from __future__ import annotations

from notebook_remote.client.address import GatewayAddress
from notebook_remote.config.gateway import Gateway


def test_urls_for_websockets_follow_the_url() -> None:
    address = GatewayAddress(Gateway(url="https://host/a"))
    assert address.websocket_url == address.page_url == "wss://host/a"
    address.url = "http://127.0.0.1:1"  # as when an embedded gateway has started
    assert address.websocket_url == address.page_url == "ws://127.0.0.1:1"


def test_options_replace_them() -> None:
    config = Gateway(url="https://host/a", ws_url="wss://b", page_ws_url="wss://c")
    address = GatewayAddress(config)
    assert (address.websocket_url, address.page_url) == ("wss://b", "wss://c")
    config.page_ws_url = ""
    assert address.page_url == "wss://b"
