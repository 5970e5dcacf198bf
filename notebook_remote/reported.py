"""Kernels that pages run on a gateway by themselves, as far as pages report them: browser mode.

This server never contacts the gateway, and may not even be able to. It keeps which document uses
which kernel; the pages start kernels, ask how they are, and shut them down.
"""

from __future__ import annotations

import hmac
from typing import Any, NoReturn

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_server._tz import isoformat, utcnow
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from jupyter_server.services.sessions.sessionmanager import SessionManager
from traitlets import Instance

from .exceptions import LeftToPages

Model = dict[str, Any]


def scope_of(secret: bytes, url: str) -> str:
    """What the pages of this server share at a gateway, and those of others cannot guess.

    Passes of one scope reach each other's kernels. ``secret`` is the server's own, which it keeps.
    """
    return hmac.digest(secret, f"notebook-remote scope {url}".encode(), "sha256").hex()


def reported(kernel_id: str, name: str = "") -> Model:
    """What this server can say of a kernel: nothing of how it is."""
    return {
        "id": kernel_id,
        "name": name,
        "last_activity": isoformat(utcnow()),
        "execution_state": "unknown",
        "connections": 0,
    }


class ReportedKernelManager(AsyncMappingKernelManager):
    """The kernels of the sessions; called by jupyter_server's handlers and session manager.

    It has every kernel: that one is gone only its gateway can say, and only pages ask there.
    """

    _kernels: dict[str, Model]

    def __contains__(self, kernel_id: object) -> bool:
        return True

    def report(self, kernel_id: str, name: str = "") -> None:
        """Take note of a kernel that a page has started; called by ReportedSessionManager."""
        self._kernels.setdefault(kernel_id, reported(kernel_id, name))

    async def kernel_model(self, kernel_id: str) -> Model:
        """What was reported; of a kernel that this process has not heard of, its id."""
        return self._kernels.get(kernel_id) or reported(kernel_id)

    async def list_kernels(self) -> list[Model]:
        """The kernels of all sessions."""
        return list(self._kernels.values())

    async def shutdown_kernel(
        self, kernel_id: str, now: bool = False, restart: bool = False
    ) -> None:
        """Forget a kernel. The page has shut it down, or was told that it is gone."""
        self._kernels.pop(kernel_id, None)

    async def shutdown_all(self, now: bool = False) -> None:
        """Forget them all; called when the server stops, which ends no kernel on the gateway."""
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


class ReportedSessionManager(SessionManager):
    """jupyter_server's sessions, with kernels that pages name by their ids."""

    kernel_manager = Instance(ReportedKernelManager)

    async def create_session(self, *args: Any, **kwargs: Any) -> Model:
        """Make a session for a kernel that a page has started. Raises LeftToPages without one."""
        if kwargs.get("kernel_id"):
            self.kernel_manager.report(kwargs["kernel_id"], kwargs.get("kernel_name") or "")
        session: Model = await super().create_session(*args, **kwargs)
        return session

    async def update_session(self, session_id: str, **kwargs: Any) -> None:
        """Change a session's document or kernel."""
        if kwargs.get("kernel_id"):
            self.kernel_manager.report(kwargs["kernel_id"])
        await super().update_session(session_id, **kwargs)


class NoKernelSpecManager(KernelSpecManager):
    """The kernelspecs are the gateway's, which pages ask for them."""

    async def get_all_specs(self) -> NoReturn:
        """Refuse. Raises LeftToPages."""
        raise LeftToPages

    async def get_kernel_spec(self, kernel_name: str) -> NoReturn:
        """Refuse. Raises LeftToPages."""
        raise LeftToPages

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> NoReturn:
        """Refuse. Raises LeftToPages."""
        raise LeftToPages
