"""A gateway whose kernels this server manages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ...client.connection import GatewayConnection, always_ready
from ...config.gateway import Gateway
from ...storage.session_store import SessionStore
from .links import EventListener, Links


class ManagedGateway(GatewayConnection):
    """The connection to a gateway, with its pages' links and the store of its kernels.

    Made by BackendManager; the managers of kernels and kernelspecs, and the handlers, get it.
    """

    def __init__(
        self,
        config: Gateway,
        store: SessionStore,
        emit: EventListener,
        ready: Callable[[], Awaitable[None]] = always_ready,
    ) -> None:
        super().__init__(config, ready)
        self.store = store
        self.links = Links(config.name, emit)
        # The store's key for this gateway: its name, since the address of a named one may change.
        self.key = f"gateway {config.given_name}" if config.given_name else config.url

    def store_kernel(self, kernel_id: str, name: str) -> None:
        """Remember a kernel of ours there, beyond the life of this server."""
        self.store.add_kernel(kernel_id, name, self.key)

    def use_address(self, url: str, token: str) -> None:
        """Use an embedded gateway that has been started or found, from now on."""
        self.address.url = url
        self.auth.credentials.auth_token = token
