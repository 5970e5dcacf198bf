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
        self.awaited_until = 0.0  # monotonic; until then it may come up that its gateway has not
        self._renaming: asyncio.Task[None] | None = None
        self.when_gone: list[Callable[[str], object]] = []  # called with a sentence
        self.missing = False  # whether the gateway has said, once, that it has no such kernel
        self.unconfirmed = False  # after its shutdown
        self.connections = 0
        self.execution_state = "starting"
        self.reason = ""
        self.last_activity = utcnow()
        self._said: JsonObject = {}  # by the gateway, when it was last asked
        # The part of the model that is the same until the gateway's next answer.
        self._shown: JsonObject = {}

    @property
    def has_kernel(self) -> bool:
        """Whether a kernel has been started that we manage; asked by jupyter_client."""
        return self.kernel_id is not None

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernelspec as last listed, for the culler, which reads its metadata."""
        specs = getattr(self.kernel_spec_manager, "last_specs", {})
        spec = specs.get(self.kernel_name, {}).get("spec", {})
        return KernelSpec(metadata=spec.get("metadata", {}))

    def take(self, model: JsonObject) -> bool:
        """Take over what the gateway says about this kernel; return whether anything is new.

        Called for each kernel at every look at the gateway, when little has changed.
        """
        connections = model.get("connections")
        # A gateway miscounts when someone hangs up in a handshake (js, jkg); ours we know.
        given = connections if isinstance(connections, int) else 0
        before, ours = self.connections, self._links.open_to(str(model["id"]))
        self.connections = max(given, ours)
        if model == self._said:
            return self.connections != before
        self._said, self._shown = model, {}
        self.kernel_id = str(model["id"])
        self.kernel_name = str(model.get("name") or self.kernel_name)
        self.execution_state = str(model.get("execution_state") or "unknown")
        self.reason = str(model.get("reason") or "")
        try:
            text = str(model.get("last_activity", "")).replace("Z", "+00:00")
            stamp = datetime.fromisoformat(text)
        except ValueError:
            return True  # an optional field; the one we have stays
        self.last_activity = stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc)
        return True

    def model(self) -> JsonObject:
        """The kernel's model for jupyter_server's REST API; lists ask for many of them."""
        if not self._shown:
            self._shown = {
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
        return {**self._shown, **now}

    def client(self, **kwargs: Any) -> KernelClient:
        """A client for programs within this server, such as voila; one for each that asks."""
        client: KernelClient = self.parent.client_factory(self, **kwargs)
        return client

    async def resolve_path(self, path: str) -> str | None:
        """Where a file of the kernel is on its computer, as its gateway says, if it does."""
        try:
            return await self.gateway.client.resolve_path(str(self.kernel_id), path)
        except GatewayError:
            return None

    def update_env(self, *, env: dict[str, str]) -> None:
        """Let the kernel know its document's new name after a restart; called on renames.

        Only an embedded gateway can do that.
        """
        if self.gateway.config.embedded:
            self._renaming = asyncio.create_task(self._update_env(env), name="update_env")

    async def _update_env(self, env: dict[str, str]) -> None:
        try:
            await self.gateway.client.update_env(self.kernel_id, env)
        except GatewayError as error:
            self.log.warning("Kernel %s has its old name: %s", self.kernel_id, error.message)

    @emit_kernel_action_event(success_msg="Kernel {kernel_id} was started.")
    async def start_kernel(self, **kwargs: Any) -> None:
        """Start it on the gateway; ``body`` is what goes with the request beside the name."""
        self.take(await self.gateway.client.start_kernel(self.kernel_name, kwargs["body"]))

    @emit_kernel_action_event(success_msg="Kernel {kernel_id} was shutdown.")
    async def shutdown_kernel(self, now: bool = False, restart: bool = False) -> None:
        """Shut it down on the gateway; a kernel that is gone already is shut down.

        ``unconfirmed`` says that the gateway did not know it: another replica may have it.
        """
        try:
            await self.gateway.client.shutdown(self.kernel_id)
        except KernelNotFound:
            self.unconfirmed = True
        # No gateway closes them by itself.
        self.gateway.links.forget(self.kernel_id)

    @emit_kernel_action_event(success_msg="Kernel {kernel_id} was restarted.")
    async def restart_kernel(self, now: bool = False, newports: bool = False, **kw: Any) -> None:
        """Restart it on the gateway."""
        if self._renaming is not None:
            await self._renaming
        await self.gateway.client.restart(self.kernel_id)

    @emit_kernel_action_event(success_msg="Kernel {kernel_id} was interrupted.")
    async def interrupt_kernel(self) -> None:
        """Interrupt it on the gateway."""
        await self.gateway.client.interrupt(self.kernel_id)

    async def is_alive(self) -> bool:
        """Whether the gateway has this kernel. Raises GatewayError when it cannot be asked."""
        try:
            self.take(await self.gateway.client.kernel(self.kernel_id))
        except KernelNotFound:
            return False
        self.missing = False
        return True
