"""The backends of this server: gateways, and this computer; and which of them a kernelspec means.

With one backend the names of kernelspecs are its own. With several, a name that more than one has
is told with the backend's (``python3@gpu``), so that none hides another.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from typing import Any

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager

from .config import Gateway
from .exceptions import GatewayError, without_secrets
from .gateways import GatewayBackend
from .kernels import RemoteMappingKernelManager
from .kernelspecs import LocalKernelSpecs, RemoteKernelSpecManager
from .reported import ReportedKernelSpecs
from .shared import Shared

Model = dict[str, Any]

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

    async def kernelspecs(self) -> Model:
        """Its kernelspecs, no older than ``poll_interval``. Raises GatewayError."""
        return await self._listing.recent(self.config.poll_interval)

    async def kernelspecs_for_list(self) -> Model:
        """The same, but of this computer as they are now: that asks nobody else."""
        return await (self.kernelspecs() if self.gateway is not None else self._listing.fresh())

    async def refresh(self) -> None:
        """Look at its kernels, unless that was done a moment ago. Raises GatewayError."""
        if isinstance(self.kernels, RemoteMappingKernelManager):
            await self.kernels.refresh()

    def starts(self) -> list[Model]:
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

    async def _list(self) -> Model:
        try:
            specs = await self.specs.get_all_specs()
        except GatewayError as error:
            if self.gateway is not None:
                self.gateway.seen(error)
            raise
        if self.gateway is not None:
            self.gateway.seen(None)
        return specs


class Backends:
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

    def gateways(self) -> list[GatewayBackend]:
        """Those that are gateways."""
        return [backend.gateway for backend in self if backend.gateway is not None]

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
        due = [backend.first_list_due for backend in self._contacted()]
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
            patience = None if alone else backend.patience
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

    def public_names(self) -> dict[tuple[str, str], str]:
        """What pages call the kernelspecs that were listed, by the backend's name and their own."""
        return public_names({backend.name: backend.specs.last_specs for backend in self})

    def public_name(self, backend: Backend, name: str) -> str:
        """What pages call a kernelspec of a backend. Of browser mode they alone know the list."""
        shared = sum(name in other.specs.last_specs for other in self) > 1
        return told_apart(name, backend.name) if shared or backend.by_pages else name

    def said(self, name: str) -> tuple[Backend | None, str]:
        """The backend that a name says, if it says one, and that backend's own name for it."""
        own, at, where = name.rpartition("@")
        named = self.get(where) if at else None
        if named is not None:
            return named, own
        return next(iter(self)) if len(self) == 1 else None, name

    async def resolve(self, name: str | None) -> tuple[Backend, str | None]:
        """The backend that a name means, and its own name for it; None is its default.

        A name that several have means the first of them. Raises GatewayError.
        """
        named, own = self.said(name or "")
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
        return [backend for backend in self if not backend.by_pages] or list(self)


def told_apart(name: str, backend: str) -> str:
    """The name of a kernelspec that more than one backend has. Jupyter's own have no ``@``."""
    return f"{name}@{backend}"


def public_names(specs: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
    """Unique names for the kernelspecs of each backend, by (backend, own name)."""
    count = Counter(name for names in specs.values() for name in names)
    return {
        (backend, name): told_apart(name, backend) if count[name] > 1 else name
        for backend, names in specs.items()
        for name in names
    }
