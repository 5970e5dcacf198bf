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
    """A mapping of names to backends, in the order in which people see them."""

    def __init__(self) -> None:
        self._backends: dict[str, Backend] = {}
        self._requests: set[asyncio.Task[object]] = set()

    def __iter__(self) -> Iterator[Backend]:
        return iter(self._backends.values())

    def __len__(self) -> int:
        return len(self._backends)

    def get(self, name: str) -> Backend | None:
        """The backend of this name."""
        return self._backends.get(name)

    def add(self, backend: Backend) -> None:
        """Add a backend at the end."""
        self._backends[backend.name] = backend

    def remove(self, name: str) -> Backend:
        """Remove a backend, and return it."""
        return self._backends.pop(name)

    def of_kernel(self, kernel_id: str) -> Backend | None:
        """The backend that a kernel of ours runs on."""
        return next((b for b in self if kernel_id in b.kernels), None)

    def of_document(self, key: str | None) -> Backend | None:
        """The backend with this ``document_key``."""
        return next((b for b in self if b.document_key == key), None)

    async def ready(self) -> None:
        """Wait until the kernels of earlier servers are known, so that lists are complete.

        This does not wait for the start of an embedded gateway, which has no kernels yet.
        """
        for backend in list(self):
            await backend.adopted.wait()

    async def refresh(self) -> None:
        """Update the kernels of all backends. Those of an unreachable gateway are *unknown*."""
        await asyncio.gather(*(self._wait_for(backend, backend.refresh()) for backend in self))

    async def list_kernelspecs(self) -> None:
        """Update the kernelspecs of all backends; a list that cannot be updated stays as it was.

        Raises GatewayError if no list has ever been received.
        """
        requests = (self._wait_for(b, b.kernelspecs_for_list()) for b in self._contacted_backends())
        errors = await asyncio.gather(*requests)
        known = any(backend.specs.last_specs for backend in self)
        error = next(filter(None, errors), None)
        if error is not None and not known:
            raise error

    async def refresh_kernelspecs(self) -> None:
        """Start to update the kernelspecs; wait for them only in the first moment of a backend."""
        requests = (
            self._wait_for(backend, backend.kernelspecs(), backend.first_list_timeout)
            for backend in self._contacted_backends()
        )
        await asyncio.gather(*requests)

    async def _wait_for(
        self, backend: Backend, request: Coroutine[Any, Any, object], timeout: float | None = None
    ) -> GatewayError | None:
        """Wait for a request to a backend, but not long if there is something to show without it.

        Returns its error. The request goes on after the timeout, for later callers.
        """
        if timeout is None:
            alone = len(self) == 1 and not backend.specs.last_specs
            timeout = None if alone else backend.list_timeout
        task = asyncio.create_task(request, name=f"ask {backend.name}")
        self._requests.add(task)
        task.add_done_callback(functools.partial(self._on_answer, backend))
        await asyncio.wait({task}, timeout=timeout)
        if not task.done():
            backend.is_slow = backend.is_slow or timeout != 0
            return backend.down
        error = task.exception()
        if error is not None and not isinstance(error, GatewayError):
            raise error
        return error

    def _on_answer(self, backend: Backend, task: asyncio.Task[object]) -> None:
        self._requests.discard(task)
        if not task.cancelled():
            backend.is_slow = False
            task.exception()  # marks it as retrieved, for asyncio

    # -- which backend a kernelspec means ---------------------------------------------------------

    def unique_names(self) -> dict[tuple[str, str], str]:
        """The public names of all kernelspecs, by the backend's name and their own."""
        return kernelspec_names.unique_names(
            {backend.name: backend.specs.last_specs for backend in self}
        )

    def public_name(self, backend: Backend, name: str) -> str:
        """A kernelspec's name in pages; always qualified in browser mode, for lack of a list."""
        shared = sum(name in other.specs.last_specs for other in self) > 1
        return (
            kernelspec_names.qualify(name, backend.name) if shared or backend.browser_mode else name
        )

    def split(self, name: str) -> tuple[Backend | None, str]:
        """The backend of a qualified name, or the only backend, and its own kernelspec name."""
        own, where = kernelspec_names.split(name)
        named = self.get(where) if where else None
        if named is not None:
            return named, own
        return next(iter(self)) if len(self) == 1 else None, name

    async def resolve(self, name: str | None) -> tuple[Backend, str | None]:
        """The backend of a kernelspec name, and the backend's own name; None for its default.

        A name that several backends have means the first of them. Raises GatewayError.
        """
        named, own = self.split(name or "")
        if named is not None:
            return named, own or None
        contacted = self._contacted_backends()
        if name is not None:
            known = any(name in backend.specs.last_specs for backend in contacted)
            if not known or any(backend.is_starting for backend in contacted):
                await self.list_kernelspecs()
            for backend in contacted:
                if name in backend.specs.last_specs:
                    return backend, name
        return contacted[0], name

    def _contacted_backends(self) -> list[Backend]:
        """The backends that this server contacts; if there are none, all, whose calls refuse."""
        return [backend for backend in self if not backend.browser_mode] or list(self)
