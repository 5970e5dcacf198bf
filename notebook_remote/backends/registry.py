"""The backends of a server, in the order in which people see them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Coroutine, Iterator
from typing import Any

from .. import kernelspec_names
from ..exceptions import GatewayError
from .base import Backend


class BackendRegistry:
    """All of them, in the order in which people see them. Owned by the server app."""

    def __init__(self) -> None:
        self._backends: dict[str, Backend] = {}
        self._asking: set[asyncio.Task[object]] = set()

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._backends.values())

    def __len__(self) -> int:
        return len(self._backends)

    def get(self, name: str) -> Backend | None:
        """The one of this name."""
        return self._backends.get(name)

    def add(self, backend: Backend) -> None:
        """Use one more."""
        self._backends[backend.name] = backend

    def remove(self, name: str) -> Backend:
        """Use it no longer."""
        return self._backends.pop(name)

    def of_kernel(self, kernel_id: str) -> Backend | None:
        """The one that a kernel of ours runs on."""
        return next((b for b in self if kernel_id in b.kernels), None)

    def of_key(self, key: str | None) -> Backend | None:
        """The one that a document remembers by a key."""
        return next((b for b in self if b.place == key), None)

    async def ready(self) -> None:
        """Wait until the kernels of earlier servers are known, so that lists are complete.

        Not for an embedded gateway that is being started: it has none, and what needs it waits.
        """
        for backend in list(self):
            await backend.adopted.wait()

    async def refresh(self) -> None:
        """Look at the kernels of all. Those of a gateway that cannot be asked are *unknown*."""
        await asyncio.gather(*(self._ask(backend, backend.refresh()) for backend in self))

    async def list_kernelspecs(self) -> None:
        """Bring the lists of kernelspecs up to date; one that cannot be had stays as it was.

        Raises GatewayError if no backend has ever told its own.
        """
        asked = (self._ask(b, b.kernelspecs_for_list()) for b in self._contacted())
        errors = await asyncio.gather(*asked)
        known = any(backend.specs.last_specs for backend in self)
        error = next(filter(None, errors), None)
        if error is not None and not known:
            raise error

    async def look_at_kernelspecs(self) -> None:
        """Have the lists brought up to date, without waiting, but for a moment after the start."""
        due = [backend.first_list_timeout for backend in self._contacted()]
        asked = (
            self._ask(b, b.kernelspecs(), wait)
            for b, wait in zip(self._contacted(), due, strict=True)
        )
        await asyncio.gather(*asked)

    async def _ask(
        self, backend: Backend, asking: Coroutine[Any, Any, object], patience: float | None = None
    ) -> GatewayError | None:
        """Wait for what is asked of a backend, but not for long if there is something to show.

        It is asked to the end, whoever waits.
        """
        if patience is None:
            alone = len(self) == 1 and not backend.specs.last_specs
            patience = None if alone else backend.list_timeout
        task = asyncio.create_task(asking, name=f"ask {backend.name}")
        self._asking.add(task)
        task.add_done_callback(functools.partial(self._answered, backend))
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            backend.is_slow = backend.is_slow or patience != 0
            return backend.down
        error = task.exception()
        if error is not None and not isinstance(error, GatewayError):
            raise error
        return error

    def _answered(self, backend: Backend, task: asyncio.Task[object]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            backend.is_slow = False
            task.exception()  # has been seen

    # -- which backend a kernelspec means ---------------------------------------------------------

    def unique_names(self) -> dict[tuple[str, str], str]:
        """What pages call the kernelspecs that were listed, by the backend's name and their own."""
        return kernelspec_names.unique_names(
            {backend.name: backend.specs.last_specs for backend in self}
        )

    def public_name(self, backend: Backend, name: str) -> str:
        """What pages call a kernelspec of a backend. Of browser mode they alone know the list."""
        shared = sum(name in other.specs.last_specs for other in self) > 1
        return (
            kernelspec_names.qualify(name, backend.name) if shared or backend.browser_mode else name
        )

    def split(self, name: str) -> tuple[Backend | None, str]:
        """The backend of a qualified name, or the only one, and its own name for the kernelspec."""
        own, where = kernelspec_names.split(name)
        named = self.get(where) if where else None
        if named is not None:
            return named, own
        return next(iter(self)) if len(self) == 1 else None, name

    async def resolve(self, name: str | None) -> tuple[Backend, str | None]:
        """The backend that a name means, and its own name for it; None is its default.

        A name that several have means the first of them. Raises GatewayError.
        """
        named, own = self.split(name or "")
        if named is not None:
            return named, own or None
        contacted = self._contacted()
        if name is not None:
            known = any(name in backend.specs.last_specs for backend in contacted)
            if not known or any(backend.is_starting for backend in contacted):
                await self.list_kernelspecs()
            for backend in contacted:
                if name in backend.specs.last_specs:
                    return backend, name
        return contacted[0], name

    def _contacted(self) -> list[Backend]:
        """Those that this server contacts. If pages do it all, all of them, which say so."""
        return [backend for backend in self if not backend.browser_mode] or list(self)
