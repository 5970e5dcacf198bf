"""What the checks of one examination share: the gateway, the ways to it, and earlier results."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from ..config.gateway import Gateway
from .channels import V1, Channels
from .transport import Transport

LARGE_TIMEOUT = 20.0  # seconds for a message of some MiB, on a slow line


class Kernel:
    """The kernel that the doctor starts: its id, chosen by us, and whether it may exist."""

    def __init__(self) -> None:
        self.chosen_id = str(uuid.uuid4())
        self.other_ids: set[str] = set()  # ids that the gateway chose instead
        self.requested = False
        self.answered = threading.Event()

    @property
    def id(self) -> str:
        """The id by which the gateway knows the kernel."""
        return next(iter(self.other_ids), self.chosen_id)

    @property
    def possible_ids(self) -> set[str]:
        """All ids under which the kernel may run; none before it was requested."""
        return {self.chosen_id, *self.other_ids} if self.requested else set()


class Context:
    """Made by ``examine``; each check reads what earlier checks found, and adds its own results.

    ``kernel_name`` is the kernelspec to start, empty for one of Python's. ``origin`` is that of the
    pages that will use a ticket.
    """

    def __init__(self, gateway: Gateway, kernel_name: str = "", origin: str = "") -> None:
        self.gateway, self.kernel_name, self.origin = gateway, kernel_name, origin
        self.transport = Transport(gateway)
        # Found by ``checks.rest``: the gateway, its add-on and its kernelspecs.
        self.kind = self.add_on = ""
        self.features: list[str] = []
        self.kernelspecs: dict[str, Any] = {}
        self.default_kernelspec = ""
        # Our time before and after a request, and the gateway's clock in its answer.
        self.clock_sample = (0.0, 0.0, "")
        # Found by ``checks.kernel`` and ``checks.messages``.
        self.kernel = Kernel()
        self.language = ""  # of the kernel
        # Why there is no echo in the kernel (``messages.ECHO``); empty if there is.
        self.no_echo = "the kernel's language was not found out"
        self._channels: Channels | None = None

    @property
    def channels(self) -> Channels:
        """The kernel's channels, opened again if an earlier check has lost them."""
        if self._channels is None:
            self._channels = self.connect()
        self._channels.limit = self.transport.limit
        return self._channels

    @property
    def slow_channels(self) -> Channels:
        """The channels with more time for each message, until ``channels`` is used again."""
        channels = self.channels
        channels.limit = max(LARGE_TIMEOUT, channels.limit)
        return channels

    def open_channels(self, seconds: float) -> None:
        """Open the kernel's channels. Raises OSError or websocket.WebSocketException."""
        self._channels = self.connect(seconds=seconds)

    def close_channels(self) -> None:
        """Close the kernel's channels, if they are open."""
        channels, self._channels = self._channels, None
        if channels is not None:
            channels.close()

    def connect(
        self,
        *,
        base: str = "",
        seconds: float = 0.0,
        session_id: str = "",
        query: str = "",
        origin: str = "",
        authenticated: bool = True,
    ) -> Channels:
        """Open a WebSocket to the kernel. Raises OSError or websocket.WebSocketException.

        ``base`` is another address than ``Gateway.ws_url``; ``authenticated``: with our
        credentials.
        """
        session_id = session_id or uuid.uuid4().hex
        url = f"{base or self.gateway.websocket_url}{self.gateway.kernels_endpoint}"
        url += f"/{self.kernel.id}/channels?session_id={session_id}{query}"
        ws = self.transport.open(
            url,
            subprotocol=V1,
            seconds=seconds or self.transport.limit,
            origin=origin,
            authenticated=authenticated,
        )
        return Channels(ws, session_id, self.transport.limit)
