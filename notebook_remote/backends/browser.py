"""The backend of a gateway in browser mode, whose kernels pages run by themselves.

This server never contacts the gateway, and may have no network route to it. It stores which
document uses which kernel; pages start kernels, request their state, and shut them down.
"""

from __future__ import annotations

import hmac
from typing import Any, NoReturn

from jupyter_server._tz import isoformat, utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import Instance, Unicode

from ..client.models import KERNEL_ID
from ..config.gateway import Gateway
from ..exceptions import BrowserModeOnly
from ..redaction import without_secrets
from ..storage.session_store import SessionStore
from ..types import JsonObject
from .base import Backend


def scope_of(secret: bytes, url: str) -> str:
    """The scope of this server's pages at a gateway, which others cannot guess.

    Passes with the same scope give access to the same kernels. ``secret`` is the server's own.
    """
    return hmac.digest(secret, f"notebook-remote scope {url}".encode(), "sha256").hex()


class BrowserBackend(Backend):
    """A gateway that only pages contact. This server knows the kernels that they report."""

    browser_mode = True

    def __init__(self, config: Gateway, kernels: BrowserKernelManager) -> None:
        super().__init__(config, kernels, BrowserKernelSpecs())

    @property
    def key(self) -> str:
        """The key of its kernels in the store."""
        return browser_mode_key(self.config)

    def description(self) -> str:
        """A line for the log: only pages use kernels there."""
        config = self.config
        where = config.label if config.url else "this computer"
        where += f" at {without_secrets(config.url)}" if config.given_name else ""
        return f"Pages start and use kernels on {where}; this server does not."

    async def kernelspecs_for_list(self) -> JsonObject:
        """Refuse, as ``kernelspecs`` does. Raises BrowserModeOnly."""
        return await self._listing.fresh()

    async def adopt_stored(self) -> None:
        """Load the kernels that were reported to earlier servers on this directory."""
        await self.kernels.adopt_stored()

    def is_kept(self, kernel_id: str) -> bool:
        """Yes: this server shuts down no kernels there."""
        return True

    def accepts_report(self, kernel_id: str) -> bool:
        """Whether a page may report that it has started this kernel there."""
        return bool(KERNEL_ID.fullmatch(kernel_id))

    def report(self, kernel_id: str, name: str) -> None:
        """Register a kernel that a page has started; ``name`` is its kernelspec's there."""
        self.kernels.report(kernel_id, name)

    async def status(self, timeout: float) -> JsonObject:
        """Unknown here; pages know."""
        return {"state": "unknown"}


def browser_mode_key(config: Gateway) -> str:
    """The store's key for a gateway in browser mode.

    It differs from the key of the same gateway in another mode: if this server contacts the gateway
    later, it must not take kernels for its own that pages have reported.
    """
    return f"{f'gateway {config.given_name}' if config.given_name else config.url} (browser mode)"


class BrowserKernelManager(AsyncMappingKernelManager):
    """The kernels of one gateway that pages have reported.

    Pages also report when a kernel is gone: only they can ask the gateway.
    """

    _kernels: dict[str, JsonObject]
    store = Instance(SessionStore)
    key = Unicode()  # of this gateway, in the store

    async def adopt_stored(self) -> None:
        """Load the kernels that were reported to earlier servers; called at start."""
        await self.store.adopt(self.key)
        for kernel in self.store.kernels(self.key):
            self._kernels[kernel.kernel_id] = _model(kernel.kernel_id, kernel.name)

    def report(self, kernel_id: str, name: str) -> None:
        """Register a kernel that a page has started; ``name`` is its kernelspec's there."""
        self._kernels[kernel_id] = _model(kernel_id, name)
        self.store.add_kernel(kernel_id, name, self.key)

    async def kernel_model(self, kernel_id: str) -> JsonObject:
        """The model of a reported kernel. Raises 404 for any other."""
        self._check_kernel_id(kernel_id)
        return self._kernels[kernel_id]

    async def list_kernels(self) -> list[JsonObject]:
        """The models of all reported kernels."""
        return list(self._kernels.values())

    async def shutdown_kernel(
        self, kernel_id: str, now: bool = False, restart: bool = False
    ) -> None:
        """Forget a kernel, which a page has shut down or found to be gone."""
        self._kernels.pop(kernel_id, None)
        self.store.drop_kernel(kernel_id)

    async def shutdown_all(self, now: bool = False) -> None:
        """Shut down none of them, and log their ids; called when the server stops."""
        if self._kernels:
            self.log.warning(
                "Not shut down, because only pages contact the gateway in browser mode: %s",
                ", ".join(sorted(self._kernels)),
            )
        self._kernels.clear()

    async def start_kernel(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: pages start kernels, and report them. Raises BrowserModeOnly."""
        raise BrowserModeOnly

    async def restart_kernel(self, kernel_id: str, now: bool = False, **kw: Any) -> NoReturn:
        """Refuse, as for a start. Raises BrowserModeOnly."""
        raise BrowserModeOnly

    async def interrupt_kernel(self, kernel_id: str) -> NoReturn:
        """Refuse, as for a start. Raises BrowserModeOnly."""
        raise BrowserModeOnly

    def update_env(self, *, kernel_id: str, env: dict[str, str]) -> None:
        """Do nothing: no gateway changes a running kernel's environment; called on renames."""

    def get_kernel(self, kernel_id: str) -> NoReturn:
        """Refuse: the kernel has no channels on this server. Raises BrowserModeOnly."""
        raise BrowserModeOnly


def _model(kernel_id: str, name: str) -> JsonObject:
    """A kernel's model; its state is not known to this server."""
    return {
        "id": kernel_id,
        "name": name,
        "last_activity": isoformat(utcnow()),
        "execution_state": "unknown",
        "connections": 0,
    }


class BrowserKernelSpecs:
    """The kernelspecs of a gateway in browser mode, which only pages know."""

    def __init__(self) -> None:
        self.last_specs: JsonObject = {}
        self.default_name = ""

    async def get_all_specs(self) -> NoReturn:
        """Refuse. Raises BrowserModeOnly."""
        raise BrowserModeOnly

    async def get_kernel_spec(self, kernel_name: str) -> NoReturn:
        """Refuse. Raises BrowserModeOnly."""
        raise BrowserModeOnly

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> NoReturn:
        """Refuse. Raises BrowserModeOnly."""
        raise BrowserModeOnly
