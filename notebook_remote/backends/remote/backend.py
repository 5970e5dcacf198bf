"""The backend of a gateway that this server contacts."""

from __future__ import annotations

import asyncio
from typing import Any

from ...exceptions import GatewayError
from ...redaction import without_secrets
from ...types import JsonObject
from ..base import THIS_COMPUTER, Backend
from .gateway import ManagedGateway
from .kernelspecs import RemoteKernelSpecManager
from .multikernel_manager import RemoteMappingKernelManager


class GatewayBackend(Backend):
    """A gateway, in proxy and direct mode; an embedded one too."""

    relays_channels = True
    can_keep_kernels = True
    kernels: RemoteMappingKernelManager

    def __init__(
        self,
        gateway: ManagedGateway,
        kernels: RemoteMappingKernelManager,
        specs: RemoteKernelSpecManager,
    ) -> None:
        super().__init__(gateway.config, kernels, specs)
        self.gateway = gateway

    @property
    def key(self) -> str:
        """The key of its kernels in the store."""
        return self.gateway.key

    @property
    def document_key(self) -> str:
        """As in the base class; an embedded gateway is this computer, in whatever process."""
        return THIS_COMPUTER if self.config.embedded else self.key

    @property
    def down(self) -> GatewayError | None:
        """The error of the last request for its kernels or kernelspecs; None if there was none."""
        return self.gateway.down

    def description(self) -> str:
        """A line for the log: where its kernels run, and whether they end with the server."""
        config = self.config
        where = config.label if self.gateway.address.url else "this computer"
        where += f" at {without_secrets(config.url)}" if config.given_name else ""
        end = "are shut down"
        if config.on_exit == "keep":
            end = "go on running"
            end += f" for {config.embedded_linger:.0f} s" if config.embedded else ""
        elif kept := len(self.kernels.kept_kernels):
            end += f", but for {kept} that {'is' if kept == 1 else 'are'} kept"
        return f"{self._kernel_count()} on {where}. When this server stops, kernels there {end}."

    def invalidate_cache(self) -> None:
        """Discard cached answers: the credentials for it have changed."""
        super().invalidate_cache()
        self.gateway.forget_features()

    def _note_outcome(self, error: GatewayError | None) -> None:
        self.gateway.note_outcome(error)

    # -- kernels -------------------------------------------------------------------------------

    async def adopt_stored(self) -> None:
        """Take the kernels of an earlier server on this directory as ours."""
        await self.kernels.adopt_stored()

    async def refresh(self) -> None:
        """Update the state of its kernels, unless that was done a moment ago."""
        await self.kernels.refresh()

    async def start_kernel(self, *, document: str | None = None, **kwargs: Any) -> str:
        """Start a kernel, for the document with this API path. Raises GatewayError."""
        return await self.kernels.start_kernel(document=document, **kwargs)

    async def fresh_kernel_model(self, kernel_id: str) -> JsonObject:
        """The model, requested now. Raises KernelNotFound and other GatewayErrors."""
        return await self.kernels.fresh_kernel_model(kernel_id)

    def cached_kernel_model(self, kernel_id: str) -> JsonObject | None:
        """The model as of the gateway's last answer."""
        return self.kernels.cached_model(kernel_id)

    async def kernel_models(self) -> list[JsonObject]:
        """The models as of the gateway's last answer."""
        return self.kernels.cached_models()

    def public_model(self, model: JsonObject) -> JsonObject:
        """The model itself, which says already on which backend the kernel runs."""
        return model

    def starts(self) -> list[JsonObject]:
        """The kernels that are being started on it."""
        return [
            {**start.model(), "backend": self.name}
            for start in self.kernels.starts.pending.values()
        ]

    def cancel_start(self, kernel_id: str) -> bool:
        """Cancel the start of a kernel; returns whether there was one."""
        if kernel_id not in self.kernels.starts.pending:
            return False
        self.kernels.starts.cancel(kernel_id)
        return True

    async def adopt(self, kernel_id: str) -> None:
        """Take a kernel that runs there as ours. Raises GatewayError."""
        self.kernels.adopt([await self.gateway.client.kernel(kernel_id)])

    def is_kept(self, kernel_id: str) -> bool:
        """Whether a kernel goes on running when this server stops."""
        return self.kernels.is_kept(kernel_id)

    def keep(self, kernel_id: str, kept: bool) -> None:
        """Choose whether a kernel goes on running when this server stops. Raises 404."""
        self.kernels.keep(kernel_id, kept)

    # -- state and credentials ------------------------------------------------------------

    def links(self) -> list[JsonObject]:
        """The links between pages and its kernels that this server relays."""
        return self.gateway.links.models()

    @property
    def can_be_examined(self) -> bool:
        """Yes, unless it is an embedded gateway, which is this server's own."""
        return not self.config.embedded

    def credentials(self) -> JsonObject:
        """The options with this server's current credentials for it."""
        return dict(self.gateway.auth.current_options())

    async def set_credentials(self, options: JsonObject) -> bool:
        """Use these options from now on; returns whether it has credentials at all."""
        if self.config.embedded:
            return False
        await self.gateway.auth.set_credentials(options)
        self.invalidate_cache()
        return True

    async def status(self, timeout: float) -> JsonObject:
        """The status of every backend, with ``since`` while it cannot be used."""
        model = await super().status(timeout)
        if self.down is not None:
            since = self.gateway.down_since
            model |= {"state": "down", "error": self.down.message, "since": since}
        return model

    async def _fetch_status(self) -> JsonObject:
        await self.kernelspecs()
        kind, features = await asyncio.gather(self.gateway.kind(), self.gateway.features())
        return {"kind": kind, "features": sorted(features)}

    # -- the end -------------------------------------------------------------------------------

    async def leave(self) -> None:
        """Stop using it: its kernels go on running, and starts under way are cancelled."""
        await self.kernels.starts.cancel_all()
        self.kernels.leave()

    async def wait_for_aborts(self) -> None:
        """Wait until aborted starts have come to their end, so that they leave no kernels."""
        await self.kernels.starts.wait_for_aborts()

    async def close(self) -> None:
        """Close its connections; called after ``leave``, and when the server stops."""
        await self.gateway.close()
