"""One kernel on a gateway, behind the interface that jupyter_server has for a local one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from jupyter_client.client import KernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_server._tz import isoformat, utcnow
from jupyter_server.services.kernels.kernelmanager import (
    ServerKernelManager,
    emit_kernel_action_event,
)
from traitlets import Instance, default

from ...exceptions import GatewayError, KernelNotFound
from ...types import JsonObject
from .gateway import ManagedGateway

MISSING = "The gateway does not know this kernel at the moment; it is asked again."


class RemoteKernelManager(ServerKernelManager):
    """One kernel on a gateway, made by RemoteMappingKernelManager."""

    kernel_name: str
    gateway = Instance(ManagedGateway)

    @default("cache_ports")
    def _default_cache_ports(self) -> bool:
        return False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._links = self.gateway.links
        self.start_deadline = 0.0  # monotonic; until then a 404 means "still starting", not "gone"
        self.missing = False  # whether the gateway's last answer for this kernel was a 404
        self.shutdown_unconfirmed = False  # whether its shutdown was answered with a 404
        self.gone_callbacks: list[Callable[[str], object]] = []  # called with a sentence
        self._env_update: asyncio.Task[None] | None = None
        self.connections = 0
        self.execution_state = "starting"
        self.reason = ""
        self.last_activity = utcnow()
        self._last_model: JsonObject = {}  # the gateway's, as of its last answer
        # The part of our model that stays the same until the gateway's next answer.
        self._cached_model: JsonObject = {}

    @property
    def has_kernel(self) -> bool:
        """Whether this manages a running kernel; called by jupyter_client."""
        return self.kernel_id is not None

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernelspec as last listed, for the culler, which reads its metadata."""
        specs = getattr(self.kernel_spec_manager, "last_specs", {})
        spec = specs.get(self.kernel_name, {}).get("spec", {})
        return KernelSpec(metadata=spec.get("metadata", {}))

    def apply_model(self, model: JsonObject) -> bool:
        """Update this kernel from the gateway's model; return whether anything has changed.

        Called for each kernel with every poll of the gateway, when little has changed.
        """
        connections = model.get("connections")
        # Jupyter Server and Kernel Gateway miscount when a client hangs up in a handshake; the
        # number of connections through this server is known.
        reported = connections if isinstance(connections, int) else 0
        before, relayed = self.connections, self._links.open_connections(str(model["id"]))
        self.connections = max(reported, relayed)
        if model == self._last_model:
            return self.connections != before
        self._last_model, self._cached_model = model, {}
        self.kernel_id = str(model["id"])
        self.kernel_name = str(model.get("name") or self.kernel_name)
        self.execution_state = str(model.get("execution_state") or "unknown")
        self.reason = str(model.get("reason") or "")
        try:
            text = str(model.get("last_activity", "")).replace("Z", "+00:00")
            stamp = datetime.fromisoformat(text)
        except ValueError:
            return True  # an optional field: the old value stays
        self.last_activity = stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)
        return True

    def model(self) -> JsonObject:
        """The kernel's model for jupyter_server's REST API; cheap, for long lists."""
        if not self._cached_model:
            self._cached_model = {
                "id": self.kernel_id,
                "name": self.kernel_name,
                "last_activity": isoformat(self.last_activity),
                "execution_state": self.execution_state,
                "connections": 0,
                "backend": self._links.backend,
                "mode": "",
                **({"reason": self.reason} if self.reason else {}),
            }
        now = {"connections": self.connections, "mode": self.gateway.config.mode}
        down = self.gateway.down
        if down is not None:
            now |= {"execution_state": "unknown", "reason": down.message}
        elif self.missing:
            now |= {"execution_state": "unknown", "reason": MISSING}
        return {**self._cached_model, **now}

    def client(self, **kwargs: Any) -> KernelClient:
        """A client for programs within this server, such as voila; a new one for each call."""
        client: KernelClient = self.parent.client_factory(self, **kwargs)
        return client

    async def resolve_path(self, path: str) -> str | None:
        """The path of a kernel's file on its computer; None if the gateway does not resolve it."""
        try:
            return await self.gateway.client.resolve_path(str(self.kernel_id), path)
        except GatewayError:
            return None

    def update_env(self, *, env: dict[str, str]) -> None:
        """Give the kernel its document's new name from its next restart on; for renames.

        Only an embedded gateway can do that.
        """
        if self.gateway.config.embedded:
            self._env_update = asyncio.create_task(self._update_env(env), name="update_env")

    async def _update_env(self, env: dict[str, str]) -> None:
        try:
            await self.gateway.client.update_env(self.kernel_id, env)
        except GatewayError as error:
            self.log.warning(
                "Kernel %s keeps its document's old name: %s", self.kernel_id, error.message
            )

    @emit_kernel_action_event(success_msg="Kernel {kernel_id} was started.")
    async def start_kernel(self, **kwargs: Any) -> None:
        """Start it on the gateway; ``body`` is that of the request, without the name."""
        self.apply_model(await self.gateway.client.start_kernel(self.kernel_name, kwargs["body"]))

    @emit_kernel_action_event(success_msg="Kernel {kernel_id} was shutdown.")
    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        """Shut it down on the gateway. A kernel that the gateway does not know counts as shut down.

        ``shutdown_unconfirmed`` is set then: another replica may have it.
        """
        try:
            await self.gateway.client.shutdown(self.kernel_id)
        except KernelNotFound:
            self.shutdown_unconfirmed = True
        # No gateway closes a kernel's channels by itself.
        self.gateway.links.forget(self.kernel_id)

    @emit_kernel_action_event(success_msg="Kernel {kernel_id} was restarted.")
    async def restart_kernel(self, now: bool = False, newports: bool = False, **kw: Any) -> None:
        """Restart it on the gateway."""
        if self._env_update is not None:
            await self._env_update
        await self.gateway.client.restart(self.kernel_id)

    @emit_kernel_action_event(success_msg="Kernel {kernel_id} was interrupted.")
    async def interrupt_kernel(self) -> None:
        """Interrupt it on the gateway."""
        await self.gateway.client.interrupt(self.kernel_id)

    async def is_alive(self) -> bool:
        """Whether the gateway has this kernel. Raises GatewayError if it does not answer."""
        try:
            self.apply_model(await self.gateway.client.kernel(self.kernel_id))
        except KernelNotFound:
            return False
        self.missing = False
        return True
