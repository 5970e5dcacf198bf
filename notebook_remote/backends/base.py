"""A backend: where kernels run, a gateway or this computer."""

from __future__ import annotations

import asyncio
import time

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from ..client.connection import GatewayBackend
from ..concurrency import Shared
from ..config.gateway import Gateway
from ..exceptions import GatewayError
from ..redaction import without_secrets
from ..types import JsonObject
from .browser import ReportedKernelSpecs
from .local import LocalKernelSpecs
from .remote.kernelspecs import RemoteKernelSpecManager
from .remote.multikernel_manager import RemoteMappingKernelManager

# Seconds that a list waits for a backend, once; what it says later is in the next list.
PATIENCE = 2.0
FIRST_PATIENCE = 10.0  # for the embedded gateway to be up, without which a list is half a list
THIS_COMPUTER = "this computer"  # as which the store knows it


def label(config: Gateway) -> str:
    """What pages call a backend."""
    return "This computer" if config.mode == "local" or config.embedded else config.name


class Backend:
    """Where kernels run: a gateway, or this computer.

    ``gateway`` is what contacts it from here: None for this computer, and in browser mode.
    """

    def __init__(
        self,
        config: Gateway,
        kernels: AsyncMappingKernelManager,
        specs: RemoteKernelSpecManager | LocalKernelSpecs | ReportedKernelSpecs,
        gateway: GatewayBackend | None,
    ) -> None:
        self.config = config
        self.kernels = kernels
        self.specs = specs
        self.gateway = gateway
        self.adopted = asyncio.Event()  # whether the kernels of earlier servers are known
        self._listing = Shared(f"kernelspecs of {self.name}", self._list)
        self.is_slow = False  # whether the last one who asked has waited for it in vain
        self._use_first = time.monotonic() + PATIENCE  # until then, its first list is waited for

    @property
    def name(self) -> str:
        """What people and kernelspecs call it."""
        return self.config.name

    @property
    def label(self) -> str:
        """What pages call it: an embedded gateway is this computer as well."""
        return label(self.config)

    @property
    def key(self) -> str:
        """By which the store knows it.

        Another one in browser mode: what pages have reported there is nothing that this server may
        take for its own if it contacts the same gateway later.
        """
        if self.gateway is not None:
            return self.gateway.key
        where = self.config.given_name and f"gateway {self.config.given_name}"
        return f"{where or self.config.url} (browser mode)" if self.by_pages else THIS_COMPUTER

    @property
    def place(self) -> str:
        """As which documents remember it: this computer is one, whatever process runs kernels."""
        return THIS_COMPUTER if self.config.embedded else self.key

    @property
    def by_pages(self) -> bool:
        """Whether only pages contact it: a gateway in browser mode."""
        return self.config.mode == "browser"

    @property
    def patience(self) -> float:
        """Seconds to wait for an answer of it, where there is something to show without it."""
        if self.down is not None or (self.is_slow and self.specs.last_specs):
            return 0.0
        return FIRST_PATIENCE if self.is_starting else PATIENCE

    @property
    def is_starting(self) -> bool:
        """Whether it is an embedded gateway that has not been up yet: its kernelspecs will come."""
        return self.config.embedded and not self.specs.last_specs and self.down is None

    @property
    def first_list_due(self) -> float:
        """Seconds for which its kernelspecs are worth waiting for in any case, if not known."""
        return 0.0 if self.specs.last_specs else max(0.0, self._use_first - time.monotonic())

    @property
    def down(self) -> GatewayError | None:
        """Why it cannot be used, as far as is known."""
        return self.gateway.down if self.gateway is not None else None

    async def kernelspecs(self) -> JsonObject:
        """Its kernelspecs, no older than ``poll_interval``. Raises GatewayError."""
        return await self._listing.recent(self.config.poll_interval)

    async def kernelspecs_for_list(self) -> JsonObject:
        """The same, but of this computer as they are now: that asks nobody else."""
        return await (self.kernelspecs() if self.gateway is not None else self._listing.fresh())

    async def refresh(self) -> None:
        """Look at its kernels, unless that was done a moment ago. Raises GatewayError."""
        if isinstance(self.kernels, RemoteMappingKernelManager):
            await self.kernels.refresh()

    def starts(self) -> list[JsonObject]:
        """The kernels that are being started on it."""
        if not isinstance(self.kernels, RemoteMappingKernelManager):
            return []
        return [{**start.model(), "backend": self.name} for start in self.kernels.starts.values()]

    def fate(self) -> str:
        """Where its kernels run, and what becomes of them when the server stops."""
        config, count = self.config, len(self.kernels)
        where = f"{config.label}" if config.url else "this computer"
        where += f" at {without_secrets(config.url)}" if config.given_name else ""
        if self.by_pages:
            return f"Pages start and use kernels on {where}; this server does not."
        what = "1 kernel runs" if count == 1 else f"{count or ''} kernels run".strip().capitalize()
        end = "are shut down"
        if self.gateway is not None and config.on_exit == "keep":
            end = "go on running"
            end += f" for {config.embedded_linger:.0f} s" if config.embedded else ""
        elif kept := len(getattr(self.kernels, "kept", ())):
            end += f", but for {kept} that {'is' if kept == 1 else 'are'} kept"
        return f"{what} on {where}. When this server stops, kernels there {end}."

    def renew(self) -> None:
        """Ask anew at the next opportunity: what proves us to it has changed."""
        self._listing.forget()
        if self.gateway is not None:
            self.gateway.forget_features()

    async def _list(self) -> JsonObject:
        try:
            specs = await self.specs.get_all_specs()
        except GatewayError as error:
            if self.gateway is not None:
                self.gateway.seen(error)
            raise
        if self.gateway is not None:
            self.gateway.seen(None)
        return specs
