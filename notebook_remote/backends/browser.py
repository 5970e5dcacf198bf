"""The backend of a gateway in browser mode, whose kernels pages run by themselves.

This server never contacts the gateway, and may not even be able to. It keeps which document uses
which kernel; the pages start kernels, ask how they are, and shut them down.
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
    """What the pages of this server share at a gateway, and those of others cannot guess.

    Passes of one scope reach each other's kernels. ``secret`` is the server's own, which it keeps.
    """
    return hmac.digest(secret, f"notebook-remote scope {url}".encode(), "sha256").hex()


class BrowserBackend(Backend):
    """A gateway that only pages contact. This server knows what they report."""

    browser_mode = True

    def __init__(self, config: Gateway, kernels: BrowserKernelManager) -> None:
        super().__init__(config, kernels, BrowserKernelSpecs())

    @property
    def key(self) -> str:
        """The store's key for it."""
        return browser_mode_key(self.config)

    def fate(self) -> str:
        """Who runs kernels there."""
        config = self.config
        where = config.label if config.url else "this computer"
        where += f" at {without_secrets(config.url)}" if config.given_name else ""
        return f"Pages start and use kernels on {where}; this server does not."

    async def kernelspecs_for_list(self) -> JsonObject:
        """Refuse, as ``kernelspecs`` does. Raises BrowserModeOnly."""
        return await self._listing.fresh()

    async def adopt_stored(self) -> None:
        """Take note of the kernels that were reported to earlier servers on this directory."""
        await self.kernels.adopt_stored()

    def keeps(self, kernel_id: str) -> bool:
        """Yes: this server ends none there."""
        return True

    def takes_report(self, kernel_id: str) -> bool:
        """Whether a page may report that it has started this kernel there."""
        return bool(KERNEL_ID.fullmatch(kernel_id))

    def report(self, kernel_id: str, name: str) -> None:
        """Take note of a kernel that a page has started; ``name`` is its kernelspec's there."""
        self.kernels.report(kernel_id, name)

    async def status(self, timeout: float) -> JsonObject:
        """Unknown here; pages know."""
        return {"state": "unknown"}


def browser_mode_key(config: Gateway) -> str:
    """The store's key for a gateway in browser mode.

    It differs from that of the same gateway in another mode: a kernel that a page has reported is
    nothing that this server may take for its own if it contacts the gateway later.
    """
    return f"{f'gateway {config.given_name}' if config.given_name else config.url} (browser mode)"


class BrowserKernelManager(AsyncMappingKernelManager):
    """The kernels of one gateway that pages have reported.

    Whether one is gone only its gateway can say, and only pages ask there.
    """

    _kernels: dict[str, JsonObject]
    store = Instance(SessionStore)
    key = Unicode()  # the store's for this gateway

    async def adopt_stored(self) -> None:
        """Take note of what was reported to earlier servers on this directory; called at start."""
        await self.store.adopt(self.key)
        for kernel in self.store.kernels(self.key):
            self._kernels[kernel.kernel_id] = _model(kernel.kernel_id, kernel.name)

    def report(self, kernel_id: str, name: str) -> None:
        """Take note of a kernel that a page has started; ``name`` is its kernelspec's there."""
        self._kernels[kernel_id] = _model(kernel_id, name)
        self.store.add_kernel(kernel_id, name, self.key)

    async def kernel_model(self, kernel_id: str) -> JsonObject:
        """What was reported. Raises 404 for what was not."""
        self._check_kernel_id(kernel_id)
        return self._kernels[kernel_id]

    async def list_kernels(self) -> list[JsonObject]:
        """The kernels of all sessions."""
        return list(self._kernels.values())

    async def shutdown_kernel(
        self, kernel_id: str, now: bool = False, restart: bool = False
    ) -> None:
        """Forget a kernel. The page has shut it down, or was told that it is gone."""
        self._kernels.pop(kernel_id, None)
        self.store.drop_kernel(kernel_id)

    async def shutdown_all(self, now: bool = False) -> None:
        """Leave them as they are; called when the server stops, which ends none on the gateway."""
        if self._kernels:
            self.log.warning(
                "Not shut down, because only pages contact the gateway in browser mode: %s",
                ", ".join(sorted(self._kernels)),
            )
        self._kernels.clear()

    async def start_kernel(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a page starts it, and reports it. Raises LeftToPages."""
        raise BrowserModeOnly

    async def restart_kernel(self, kernel_id: str, now: bool = False, **kw: Any) -> NoReturn:
        """Refuse, as for a start."""
        raise BrowserModeOnly

    async def interrupt_kernel(self, kernel_id: str) -> NoReturn:
        """Refuse, as for a start."""
        raise BrowserModeOnly

    def update_env(self, *, kernel_id: str, env: dict[str, str]) -> None:
        """Nothing: no gateway changes a running kernel's environment; called on renames."""

    def get_kernel(self, kernel_id: str) -> NoReturn:
        """Refuse: it has no channels here. Raises LeftToPages."""
        raise BrowserModeOnly


def _model(kernel_id: str, name: str) -> JsonObject:
    """What this server can say of a kernel: nothing of how it is."""
    return {
        "id": kernel_id,
        "name": name,
        "last_activity": isoformat(utcnow()),
        "execution_state": "unknown",
        "connections": 0,
    }


class BrowserKernelSpecs:
    """The kernelspecs of such a gateway, which only pages know."""

    def __init__(self) -> None:
        self.last_specs: JsonObject = {}
        self.default_name = ""

    async def get_all_specs(self) -> NoReturn:
        """Refuse. Raises LeftToPages."""
        raise BrowserModeOnly

    async def get_kernel_spec(self, kernel_name: str) -> NoReturn:
        """Refuse. Raises LeftToPages."""
        raise BrowserModeOnly

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> NoReturn:
        """Refuse. Raises LeftToPages."""
        raise BrowserModeOnly
