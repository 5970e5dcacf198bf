"""Kernels that pages run on a gateway by themselves, as far as pages report them: browser mode.

This server never contacts the gateway, and may not even be able to. It keeps which document uses
which kernel; the pages start kernels, ask how they are, and shut them down.
"""

from __future__ import annotations

import hmac
from typing import Any, NoReturn

from jupyter_server._tz import isoformat, utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from ..exceptions import LeftToPages
from ..storage.session_store import Store
from ..types import JsonObject


def scope_of(secret: bytes, url: str) -> str:
    """What the pages of this server share at a gateway, and those of others cannot guess.

    Passes of one scope reach each other's kernels. ``secret`` is the server's own, which it keeps.
    """
    return hmac.digest(secret, f"notebook-remote scope {url}".encode(), "sha256").hex()


class ReportedKernelManager(AsyncMappingKernelManager):
    """The kernels of one gateway that pages have reported. RoutedKernelManager calls it.

    Whether one is gone only its gateway can say, and only pages ask there.
    """

    _kernels: dict[str, JsonObject]

    def record_in(self, store: Store, key: str) -> None:
        """Let later servers know of the kernels too; ``key`` is the gateway's in the store."""
        self._store, self._key = store, key

    async def adopt_stored(self) -> None:
        """Take note of what was reported to earlier servers on this directory; called at start."""
        await self._store.take_over(self._key)
        for kernel in self._store.kernels(self._key):
            self._kernels[kernel.kernel_id] = _model(kernel.kernel_id, kernel.name)

    def report(self, kernel_id: str, name: str) -> None:
        """Take note of a kernel that a page has started; ``name`` is its kernelspec's there."""
        self._kernels[kernel_id] = _model(kernel_id, name)
        self._store.add_kernel(kernel_id, name, self._key)

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
        self._store.drop_kernel(kernel_id)

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
        raise LeftToPages

    async def restart_kernel(self, kernel_id: str, now: bool = False, **kw: Any) -> NoReturn:
        """Refuse, as for a start."""
        raise LeftToPages

    async def interrupt_kernel(self, kernel_id: str) -> NoReturn:
        """Refuse, as for a start."""
        raise LeftToPages

    def update_env(self, *, kernel_id: str, env: dict[str, str]) -> None:
        """Nothing: no gateway changes a running kernel's environment; called on renames."""

    def get_kernel(self, kernel_id: str) -> NoReturn:
        """Refuse: it has no channels here. Raises LeftToPages."""
        raise LeftToPages


def _model(kernel_id: str, name: str) -> JsonObject:
    """What this server can say of a kernel: nothing of how it is."""
    return {
        "id": kernel_id,
        "name": name,
        "last_activity": isoformat(utcnow()),
        "execution_state": "unknown",
        "connections": 0,
    }


class ReportedKernelSpecs:
    """The kernelspecs of such a gateway, which only pages know. Called by RoutedKernelSpecManager.

    It has the methods and attributes of ``RemoteKernelSpecManager``.
    """

    def __init__(self) -> None:
        self.last_specs: JsonObject = {}
        self.default_name = ""

    async def get_all_specs(self) -> NoReturn:
        """Refuse. Raises LeftToPages."""
        raise LeftToPages

    async def get_kernel_spec(self, kernel_name: str) -> NoReturn:
        """Refuse. Raises LeftToPages."""
        raise LeftToPages

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> NoReturn:
        """Refuse. Raises LeftToPages."""
        raise LeftToPages
