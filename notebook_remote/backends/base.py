"""A backend: a place where kernels run."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Any, Protocol

import anyio
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web

from ..concurrency import SingleFlight
from ..config.gateway import Gateway
from ..exceptions import GatewayError
from ..types import JsonObject

LIST_TIMEOUT = 2.0  # seconds that a list waits for a backend; later answers go to the next list
FIRST_LIST_TIMEOUT = 10.0  # the same for an embedded gateway that is being started
THIS_COMPUTER = "this computer"  # the store's key for this computer


def label(config: Gateway) -> str:
    """A backend's name in pages."""
    return "This computer" if config.mode == "local" or config.embedded else config.name


class KernelSpecs(Protocol):
    """The kernelspecs of one backend; used by RoutedKernelSpecManager."""

    last_specs: JsonObject  # models by name, as of the last answer
    default_name: str

    async def get_all_specs(self) -> JsonObject:
        """Models of all kernelspecs by name; updates ``last_specs``. Raises GatewayError."""

    async def get_kernel_spec(self, kernel_name: str) -> JsonObject:
        """The model of one kernelspec. Raises KernelSpecNotFound (a KeyError), GatewayError."""

    async def get_kernel_spec_resource(self, kernel_name: str, path: str) -> bytes | None:
        """A kernelspec's file, such as its logo, or None."""


class Backend(ABC):
    """A place where kernels run. BackendManager makes backends; managers and handlers use them.

    Methods that only some kinds of backends support have a default here, which refuses.
    """

    # Whether this server relays its kernels' channels.
    relays_channels = False
    # Whether only pages contact it, and this server does not.
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
        """Its name for people and in qualified kernelspec names."""
        return self.config.name

    @property
    def label(self) -> str:
        """Its name in pages: an embedded gateway is shown as this computer."""
        return label(self.config)

    @property
    @abstractmethod
    def key(self) -> str:
        """The key of its kernels in the store."""

    @property
    def document_key(self) -> str:
        """The key under which the store notes that a document ran on it."""
        return self.key

    @property
    def down(self) -> GatewayError | None:
        """Why it cannot be used; None if it can, as far as is known."""
        return None

    @abstractmethod
    def description(self) -> str:
        """A line for the log: where its kernels run, and whether they end with the server."""

    def _kernel_count(self) -> str:
        count = len(self.kernels)
        return "1 kernel runs" if count == 1 else f"{count or ''} kernels run".strip().capitalize()

    # -- kernelspecs ---------------------------------------------------------------------------

    @property
    def list_timeout(self) -> float:
        """Seconds to wait for its kernelspecs, if there are others to show."""
        if self.down is not None or (self.is_slow and self.specs.last_specs):
            return 0.0
        return FIRST_LIST_TIMEOUT if self.is_starting else LIST_TIMEOUT

    @property
    def is_starting(self) -> bool:
        """Whether it is an embedded gateway that has not answered yet."""
        return self.config.embedded and not self.specs.last_specs and self.down is None

    @property
    def first_list_timeout(self) -> float:
        """Seconds to wait for its first list in any case."""
        if self.specs.last_specs:
            return 0.0
        return max(0.0, self._first_list_deadline - time.monotonic())

    async def kernelspecs(self) -> JsonObject:
        """Its kernelspecs, no older than ``poll_interval``. Raises GatewayError."""
        return await self._listing.recent(self.config.poll_interval)

    async def kernelspecs_for_list(self) -> JsonObject:
        """Its kernelspecs, for a page that requests the list. Raises GatewayError."""
        return await self.kernelspecs()

    def invalidate_cache(self) -> None:
        """Discard cached answers: the credentials for it have changed."""
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
        """Called after each request for the list, with the error if it failed."""

    # -- kernels -------------------------------------------------------------------------------

    @abstractmethod
    async def adopt_stored(self) -> None:
        """Take the kernels of an earlier server on this directory as ours, if they may run."""

    async def refresh(self) -> None:
        """Update the state of its kernels, unless that was done a moment ago."""

    async def start_kernel(self, *, document: str | None = None, **kwargs: Any) -> str:
        """Start a kernel, for the document with this API path. Raises GatewayError."""
        return str(await self.kernels.start_kernel(**kwargs))

    async def kernel_model(self, kernel_id: str) -> JsonObject:
        """The model of a kernel, as of the last update. Raises 404."""
        model: JsonObject = await ensure_async(self.kernels.kernel_model(kernel_id))
        return model

    async def fresh_kernel_model(self, kernel_id: str) -> JsonObject:
        """The model of a kernel, requested now. Raises 404 and GatewayError."""
        return await self.kernel_model(kernel_id)

    def cached_kernel_model(self, kernel_id: str) -> JsonObject | None:
        """The model of a kernel if it is in memory, else None; for long lists."""
        return None

    async def kernel_models(self) -> list[JsonObject]:
        """The models of all its kernels, as of the last update."""
        models: list[JsonObject] = await ensure_async(self.kernels.list_kernels())
        return models

    def public_model(self, model: JsonObject) -> JsonObject:
        """A kernel's model for pages, which says on which backend the kernel runs."""
        return {**model, "backend": self.name, "mode": self.config.mode}

    def starts(self) -> list[JsonObject]:
        """The kernels that are being started on it."""
        return []

    def cancel_start(self, kernel_id: str) -> bool:
        """Cancel the start of a kernel; returns whether there was one."""
        return False

    async def adopt(self, kernel_id: str) -> None:
        """Take a kernel that runs there as ours. Raises GatewayError, and 409 if unsupported."""
        raise web.HTTPError(409, "Only kernels on a gateway are adopted.")

    def is_kept(self, kernel_id: str) -> bool:
        """Whether a kernel goes on running when this server stops."""
        return False

    def keep(self, kernel_id: str, kept: bool) -> None:
        """Choose whether a kernel goes on running when this server stops. Raises 404, 409."""
        raise web.HTTPError(409, "A kernel of this computer ends with this server.")

    def accepts_report(self, kernel_id: str) -> bool:
        """Whether a page may report that it has started this kernel there."""
        return False

    def report(self, kernel_id: str, name: str) -> None:
        """Register a kernel that a page has started; ``name`` is its kernelspec's there."""

    # -- state and credentials ------------------------------------------------------------

    def links(self) -> list[JsonObject]:
        """The links between pages and its kernels that this server relays."""
        return []

    @property
    def can_be_examined(self) -> bool:
        """Whether the doctor can examine it: whether it is a gateway that this server contacts."""
        return False

    def credentials(self) -> JsonObject:
        """The options with this server's current credentials for it."""
        return {}

    async def set_credentials(self, options: JsonObject) -> bool:
        """Use these options from now on; returns whether it has credentials at all."""
        return False

    async def status(self, timeout: float) -> JsonObject:
        """``state``, with ``error`` or ``kind`` and ``features``; ``timeout`` is in seconds."""
        try:
            with anyio.fail_after(timeout):
                model = await self._fetch_status()
        except TimeoutError:
            return {"state": "down", "error": f"No answer within {timeout:g} s."}
        except GatewayError as error:
            return {"state": "down", "error": error.message}
        return {**model, "state": "up"}

    async def _fetch_status(self) -> JsonObject:
        await self.kernelspecs()
        return {}

    # -- the end -------------------------------------------------------------------------------

    async def leave(self) -> None:
        """Stop using it: its kernels go on running, and starts under way are cancelled."""

    async def wait_for_aborts(self) -> None:
        """Wait until aborted starts have come to their end, so that they leave no kernels."""

    async def close(self) -> None:
        """Close its connections; called after ``leave``, and when the server stops."""
