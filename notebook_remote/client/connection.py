"""The connection to one gateway: its clients, what it can do, and whether it is up."""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping

from ..concurrency import SingleFlight
from ..config.gateway import LAUNCH_TIMEOUT_ENV, Gateway
from ..config.tls import ssl_context
from ..exceptions import GatewayError
from .address import GatewayAddress
from .auth import GatewayAuth
from .handshakes import Handshakes
from .rest import RestClient

FEATURES_MAX_AGE = 60.0  # seconds
ANSWER_MAX_AGE = 1.0  # seconds; many links may go silent at once
USER_ENV = "KERNEL_USERNAME"  # the user for whom Enterprise Gateway starts a kernel


async def always_ready() -> None:
    """Return at once; for gateways that are not embedded."""


class GatewayConnection:
    """Our client of one gateway. A server has one for each, a run without a page has its own.

    ``ready`` is awaited before each request; for an embedded gateway it waits for the start.
    """

    def __init__(
        self, config: Gateway, ready: Callable[[], Awaitable[None]] = always_ready
    ) -> None:
        self.config = config
        self.ready = ready
        self.tls: ssl.SSLContext = ssl_context(config)
        self.auth = GatewayAuth(config)
        self.address = GatewayAddress(config)
        self.client = RestClient(config, self.auth, self.tls, ready, self.address)
        self.handshakes = Handshakes()
        self.down: GatewayError | None = None
        self.down_since = 0.0  # seconds, as time.time()
        self._kind: str | None = None
        self._features: frozenset[str] = frozenset()
        self._features_until = float("-inf")
        self._answer_check = SingleFlight("whether the gateway answers", self.client.answers)

    async def kind(self) -> str:
        """The kind of gateway: see ``RestClient.kind``; requested once. Raises GatewayError."""
        if self._kind is None:
            self._kind = await self.client.kind()
        return self._kind

    async def features(self) -> frozenset[str]:
        """The features of the add-on at the gateway, such as ``tickets``; empty without add-on.

        Requested again after FEATURES_MAX_AGE, since it may be installed later. Raises
        GatewayError.
        """
        now = time.monotonic()
        if now >= self._features_until:
            listed = (await self.client.addon() or {}).get("features")
            self._features = frozenset(map(str, listed if isinstance(listed, list) else ()))
            self._features_until = now + FEATURES_MAX_AGE
        return self._features

    async def answers(self) -> bool:
        """Whether it answers HTTP on a new connection; called when a WebSocket is silent."""
        return await self._answer_check.recent(ANSWER_MAX_AGE)

    def forget_features(self) -> None:
        """Make the next call of ``features`` send a request."""
        self._features_until = float("-inf")

    async def kernel_env(
        self, env: Mapping[str, str], folder: str | None, kernel_id: str
    ) -> dict[str, str]:
        """The variables to send with a kernel's start: ``KERNEL_*``, and those in allowed_envs.

        ``folder`` is the kernel's working directory, as a path of this computer, or None. A Kernel
        Gateway that gets an ``env`` starts the kernel with nothing else (no HOME), so the result is
        empty unless the user set some. Enterprise Gateway needs ``KERNEL_*``. Raises GatewayError.
        """
        config = self.config
        if config.embedded:
            # Its process has the environment of this server already.
            return {k: v for k, v in env.items() if k == "JPY_SESSION_NAME"}
        # A gateway that a page added gets no variable of this process but the user's name.
        own = {k: v for k, v in os.environ.items() if not config.from_page or k == USER_ENV}
        source = {**own, **env}
        chosen = {
            name: value
            for name, value in source.items()
            if name.startswith("KERNEL_") or name in config.allowed_env_names
        }
        if await self.kind() == "enterprise-gateway":
            chosen["KERNEL_ID"] = kernel_id
            if self.auth.credentials.http_user:
                chosen.setdefault("KERNEL_USERNAME", self.auth.credentials.http_user)
            if folder is not None:
                chosen.setdefault("KERNEL_WORKING_DIR", folder)
            launch = int(config.start_timeout - config.launch_timeout_pad)
            chosen.setdefault(LAUNCH_TIMEOUT_ENV, str(max(launch, 1)))
        return chosen

    def note_outcome(self, error: GatewayError | None) -> None:
        """Note the outcome of a regular poll; logs when the gateway goes down or comes back up."""
        log = self.config.log
        if error is not None and self.down is None:
            self.down_since = time.time()
            log.warning("The gateway cannot be used: %s", error.message)
        elif error is None and self.down is not None:
            log.info("The gateway at %s can be used again.", self.address.url)
        self.down = error

    async def close(self) -> None:
        """Close all connections to the gateway; called when the server stops."""
        self.handshakes.cancel()
        await self.client.close()
