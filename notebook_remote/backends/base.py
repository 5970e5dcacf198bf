"""A backend: a place where kernels run."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Any, Protocol

from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web

from ..concurrency import SingleFlight
from ..config.gateway import Gateway
from ..exceptions import GatewayError
from ..types import JsonObject

LIST_TIMEOUT = 2.0  # seconds that a list waits for a backend; a later answer is for the next list
FIRST_LIST_TIMEOUT = 10.0  # the same for an embedded gateway that is being started
THIS_COMPUTER = "this computer"  # the store's key for it


def label(config: Gateway) -> str:
    """What pages call a backend."""
    return "This computer" if config.mode == "local" or config.embedded else config.name


class KernelSpecs(Protocol):
    """The kernelspecs of one backend. RoutedKernelSpecManager calls it."""

    last_specs: JsonObject  # models by name, as of the last answer
    default_name: str

    async def get_all_specs(self) -> JsonObject:
        """Models of all kernelspecs by name; ``last_specs`` from then on. Raises GatewayError."""

    async def get_kernel_spec(self, kernel_name: str) -> JsonObject:
        """The model of one kernelspec. Raises KernelSpecNotFound (a KeyError), GatewayError."""

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> bytes | None:
        """A kernelspec's file, such as its logo, or None."""


class Backend(ABC):
    """A place where kernels run. BackendManager makes them; managers and handlers use them.

    What only some kinds of backends can do has a default here, which says that it cannot be done.
    """

    # Whether this server relays its kernels' channels.
    relays_channels = False
    # Whether only pages contact it.
    browser_mode = False
    # Whether a kernel on it can go on running when this server stops.
    can_keep_kernels = False

    def __init__(
        self, config: Gateway, kernels: AsyncMappingKernelManager, specs: KernelSpecs
    ) -> None:
        self.config = config
        self.kernels: Any = kernels
        self.specs = specs
        self.adopted = asyncio.Event()  # set once the kernels of earlier servers are known
        self.is_slow = False  # whether the last request for a list ran into its time limit
        self._listing = SingleFlight(f"kernelspecs of {self.name}", self._list)
        self._first_list_deadline = time.monotonic() + LIST_TIMEOUT

    @property
    def name(self) -> str:
        """What people and kernelspecs call it."""
        return self.config.name

    @property
    def label(self) -> str:
        """What pages call it: an embedded gateway is this computer as well."""
        return label(self.config)

    @property
    @abstractmethod
    def key(self) -> str:
        """The store's key for it."""

    @property
    def place(self) -> str:
        """The key under which documents remember it."""
        return self.key

    @property
    def down(self) -> GatewayError | None:
        """Why it cannot be used, as far as is known."""
        return None

    @abstractmethod
    def fate(self) -> str:
        """Where its kernels run, and what becomes of them when the server stops."""

    def _kernel_count(self) -> str:
        count = len(self.kernels)
        return "1 kernel runs" if count == 1 else f"{count or ''} kernels run".strip().capitalize()

    # -- kernelspecs ---------------------------------------------------------------------------

    @property
    def list_timeout(self) -> float:
        """Seconds to wait for its list, where there is something to show without it."""
        if self.down is not None or (self.is_slow and self.specs.last_specs):
            return 0.0
        return FIRST_LIST_TIMEOUT if self.is_starting else LIST_TIMEOUT

    @property
    def is_starting(self) -> bool:
        """Whether it is an embedded gateway that has not answered yet."""
        return self.config.embedded and not self.specs.last_specs and self.down is None

    @property
    def first_list_timeout(self) -> float:
        """Seconds for which its first list is worth waiting for in any case."""
        if self.specs.last_specs:
            return 0.0
        return max(0.0, self._first_list_deadline - time.monotonic())

    async def kernelspecs(self) -> JsonObject:
        """Its kernelspecs, no older than ``poll_interval``. Raises GatewayError."""
        return await self._listing.recent(self.config.poll_interval)

    async def kernelspecs_for_list(self) -> JsonObject:
        """Its kernelspecs, for a page that asks for the list. Raises GatewayError."""
        return await self.kernelspecs()

    def forget_answers(self) -> None:
        """Ask anew at the next opportunity: the credentials for it have changed."""
        self._listing.forget()

    async def _list(self) -> JsonObject:
        try:
            specs = await self.specs.get_all_specs()
        except GatewayError as error:
            self._note_outcome(error)
            raise
        self._note_outcome(None)
        return specs

    def _note_outcome(self, error: GatewayError | None) -> None:
        """Take note of whether it could be asked."""

    # -- kernels -------------------------------------------------------------------------------

    @abstractmethod
    async def adopt_stored(self) -> None:
        """Take the kernels of an earlier server on this directory as ours, if they may run."""

    async def refresh(self) -> None:
        """Ask for the state of its kernels, unless that was done a moment ago."""

    async def start_kernel(self, *, document: str | None = None, **kwargs: Any) -> str:
        """Start a kernel, for the document with this API path. Raises GatewayError."""
        return str(await self.kernels.start_kernel(**kwargs))

    async def kernel_model(self, kernel_id: str) -> JsonObject:
        """The model of a kernel, as far as is known. Raises 404."""
        model: JsonObject = await ensure_async(self.kernels.kernel_model(kernel_id))
        return model

    async def fresh_kernel_model(self, kernel_id: str) -> JsonObject:
        """The model of a kernel, asked now. Raises 404 and GatewayError."""
        return await self.kernel_model(kernel_id)

    def known_kernel_model(self, kernel_id: str) -> JsonObject | None:
        """The model of a kernel if that costs next to nothing; for lists of many."""
        return None

    async def kernel_models(self) -> list[JsonObject]:
        """The models of all its kernels, as far as is known."""
        models: list[JsonObject] = await ensure_async(self.kernels.list_kernels())
        return models

    def shown(self, model: JsonObject) -> JsonObject:
        """A kernel's model with where the kernel runs, for pages."""
        return {**model, "backend": self.name, "mode": self.config.mode}

    def starts(self) -> list[JsonObject]:
        """The kernels that are being started on it."""
        return []

    def cancel_start(self, kernel_id: str) -> bool:
        """Cancel the start of a kernel; returns whether there was one."""
        return False

    async def adopt(self, kernel_id: str) -> None:
        """Take a kernel that runs there as ours. Raises 409 where that cannot be, GatewayError."""
        raise web.HTTPError(409, "Only kernels on a gateway are adopted.")

    def keeps(self, kernel_id: str) -> bool:
        """Whether a kernel goes on running when this server stops."""
        return False

    def keep(self, kernel_id: str, kept: bool) -> None:
        """Choose whether a kernel goes on running when this server stops. Raises 404, 409."""
        raise web.HTTPError(409, "A kernel of this computer ends with this server.")

    def takes_report(self, kernel_id: str) -> bool:
        """Whether a page may report that it has started this kernel there."""
        return False

    def report(self, kernel_id: str, name: str) -> None:
        """Take note of a kernel that a page has started; ``name`` is its kernelspec's there."""

    # -- what people see and change ------------------------------------------------------------

    def links(self) -> list[JsonObject]:
        """The links between pages and its kernels that this server relays."""
        return []

    @property
    def can_be_examined(self) -> bool:
        """Whether it is a gateway at an address, which the doctor can examine from here."""
        return False

    def credentials(self) -> JsonObject:
        """The options with which this server proves to it who it is, at the moment."""
        return {}

    async def set_credentials(self, options: JsonObject) -> bool:
        """Use these options from now on; returns whether it has credentials at all."""
        return False

    async def status(self, timeout: float) -> JsonObject:
        """``state``, with ``error`` or ``kind`` and ``features``; ``timeout`` is in seconds."""
        try:
            model = await asyncio.wait_for(self._ask_status(), timeout)
        except asyncio.TimeoutError:
            return {"state": "down", "error": f"No answer within {timeout:g} s."}
        except GatewayError as error:
            return {"state": "down", "error": error.message}
        return {**model, "state": "up"}

    async def _ask_status(self) -> JsonObject:
        await self.kernelspecs()
        return {}

    # -- the end -------------------------------------------------------------------------------

    async def leave(self) -> None:
        """Use it no longer; its kernels go on running, but for those that are being started."""

    async def settle(self) -> None:
        """Wait until aborted starts have come to their end, so that they leave no kernels."""

    async def close(self) -> None:
        """Close what is open to it; called after it was left, and when the server stops."""
