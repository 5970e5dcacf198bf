"""A gateway as the rest of the server sees it: its client, its kind, and whether it is up."""

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

FEATURES_KEPT = 60.0  # seconds
ANSWER_KEPT = 1.0  # seconds; many links may go silent at once
USER_ENV = "KERNEL_USERNAME"  # for whom Enterprise Gateway starts a kernel


async def always_ready() -> None:
    """Return at once: a gateway that somebody else runs is not waited for."""


class GatewayConnection:
    """Our client to one gateway: who we are to it, its REST API, and whether it answers.

    A server has one for each gateway, a run without a page has its own.

    ``ready`` is awaited before the gateway is contacted; an embedded gateway gives its own.
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
        self._answering = SingleFlight("whether the gateway answers", self.client.answers)

    async def kind(self) -> str:
        """What the gateway is, asked once. Raises GatewayError."""
        if self._kind is None:
            self._kind = await self.client.kind()
        return self._kind

    async def features(self) -> frozenset[str]:
        """What the add-on at the gateway can do, such as ``tickets``; nothing without it.

        Asked again now and then: it may be installed while we run. Raises GatewayError.
        """
        now = time.monotonic()
        if now >= self._features_until:
            listed = (await self.client.addon() or {}).get("features")
            self._features = frozenset(map(str, listed if isinstance(listed, list) else ()))
            self._features_until = now + FEATURES_KEPT
        return self._features

    async def answers(self) -> bool:
        """Whether it answers HTTP at all, on a new connection; asked when one has gone silent."""
        return await self._answering.recent(ANSWER_KEPT)

    def forget_features(self) -> None:
        """Ask for them anew at the next opportunity."""
        self._features_until = float("-inf")

    async def kernel_env(
        self, env: Mapping[str, str], folder: str | None, kernel_id: str
    ) -> dict[str, str]:
        """The variables to send with a start: ``KERNEL_*`` and the allowed ones, if any.

        ``folder`` is where the kernel should start, as this computer knows it; None if nobody
        says. A Kernel Gateway that gets an ``env`` gives the kernel nothing else of its own (no
        HOME), so there is none unless the user set some. Enterprise Gateway works with
        ``KERNEL_*``. Raises GatewayError.
        """
        config = self.config
        if config.embedded:
            # Our own gateway: the kernel has the environment of this server already.
            return {k: v for k, v in env.items() if k == "JPY_SESSION_NAME"}
        # What a page adds gets nothing of this environment, but for the name of its user.
        ours = {k: v for k, v in os.environ.items() if not config.from_page or k == USER_ENV}
        source = {**ours, **env}
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

    def seen(self, error: GatewayError | None) -> None:
        """Note the outcome of a regular look at the gateway; logs when it goes down or comes up."""
        log = self.config.log
        if error is not None and self.down is None:
            self.down_since = time.time()
            log.warning("The gateway cannot be used: %s", error.message)
        elif error is None and self.down is not None:
            log.info("The gateway at %s can be used again.", self.address.url)
        self.down = error

    async def close(self) -> None:
        """Close what is open to the gateway; called when the server stops."""
        self.handshakes.cancel()
        await self.client.close()
