"""One kernel on a gateway for a run without a page: its start, state, and shutdown."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import uuid
from collections.abc import Mapping

import anyio
from jupyter_client.session import Session

from ..client.connection import GatewayConnection
from ..client.transport import blocking_http_client
from ..concurrency import SingleFlight
from ..config.gateway import Gateway
from ..exceptions import GatewayAuthError, GatewayError, GatewayUnreachable, KernelNotFound
from ..redaction import without_secrets
from ..types import JsonObject
from .channels import KernelChannels, is_gone
from .message_queue import MessageQueue
from .selection import choose, kernelspec_metadata

SHUTDOWN_TIMEOUT = 15.0  # seconds; a busy kernel gets some of them to end by itself
RETRY_INTERVAL = 0.5  # seconds between two attempts to shut a kernel down


class HeadlessKernel:
    """A running kernel; made by ``start_kernel``. All of it runs in one event loop."""

    def __init__(
        self, gateway: GatewayConnection, kernel_id: str, name: str, log: logging.Logger
    ) -> None:
        """``name`` is the gateway's name of the kernelspec."""
        self.gateway, self.kernel_id, self.name, self._log = gateway, kernel_id, name, log
        self._channels: set[KernelChannels] = set()
        self._death_reason = ""
        self._gone = False
        self._request = SingleFlight(f"poll kernel {kernel_id}", self._fetch_alive)
        self._poll_task = self._start_polling()

    def open_channels(self, session: Session, queue: MessageQueue) -> KernelChannels:
        """Open its channels for a client."""
        channels = KernelChannels(
            self.gateway, self.kernel_id, session, queue, self._log, on_death=self._died
        )
        self._channels.add(channels)
        if self._death_reason:
            channels.died(self._death_reason)
        return channels

    async def close_channels(self, channels: KernelChannels) -> None:
        """Close a client's channels."""
        self._channels.discard(channels)
        await channels.close()

    async def kernelspec(self) -> dict[str, str]:
        """The kernelspec for a notebook's metadata; only its name if the gateway is down."""
        try:
            models = (await self.gateway.client.kernelspecs())["kernelspecs"]
        except GatewayError:
            models = {}
        return kernelspec_metadata(self.name, models.get(self.name))

    async def interrupt(self) -> None:
        """Interrupt it. Raises GatewayError."""
        await self.gateway.client.interrupt(self.kernel_id)

    async def restart(self) -> None:
        """Restart it. Raises GatewayError."""
        await self.gateway.client.restart(self.kernel_id)
        for channels in self._channels:
            channels.restarted()
        if self._death_reason:  # old clients stay closed; new ones can be made
            self._death_reason = ""
            self._request.forget()
            self._poll_task.cancel()
            self._poll_task = self._start_polling()

    async def is_alive(self) -> bool:
        """Whether the kernel is alive, as far as is known; an unreachable one counts as alive.

        The gateway is asked once in ``poll_interval``, although nbclient calls this every second.
        """
        return not self._death_reason and await self._request.recent(
            self.gateway.config.poll_interval
        )

    async def _fetch_alive(self) -> bool:
        if not self._death_reason:
            try:
                model = await self.gateway.client.kernel(self.kernel_id)
            except KernelNotFound as error:
                await self._recheck(error)
            except GatewayError as error:
                self._log.debug(
                    "Whether kernel %s lives is not known: %s", self.kernel_id, error.message
                )
            else:
                if model.get("execution_state") == "dead":
                    self._died(
                        f"The kernel died on its gateway. {model.get('reason') or ''}".strip()
                    )
        return not self._death_reason

    async def _recheck(self, error: KernelNotFound) -> None:
        """Find out whether the kernel is gone, after a first 404 for it."""
        self._gone = await is_gone(self.gateway, self.kernel_id)
        if self._gone:
            self._died(error.message)

    async def close(self) -> bool:
        """Shut it down, and close all connections to the gateway; return whether it is gone."""
        self._poll_task.cancel()
        await asyncio.gather(
            self._poll_task,
            *(channels.close() for channels in self._channels),
            return_exceptions=True,
        )
        self._gone = self._gone or await _shut_down(self.gateway, self.kernel_id, self._log)
        await self.gateway.close()
        return self._gone

    def _start_polling(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._poll(), name=f"poll kernel {self.kernel_id}")

    async def _poll(self) -> None:
        while await self.is_alive():  # noqa: ASYNC110 - gateways send no event for this
            await asyncio.sleep(self.gateway.config.poll_interval)

    def _died(self, reason: str) -> None:
        if not self._death_reason:
            self._death_reason = reason
            for channels in self._channels:
                channels.died(reason)


async def start_kernel(
    configs: list[Gateway],
    name: str,
    folder: str | None,
    env: Mapping[str, str],
    log: logging.Logger,
) -> HeadlessKernel:
    """Start a kernel on the gateway of its kernelspec (see ``selection``). Raises GatewayError.

    ``folder`` is its working directory, if the gateway's computer has it too. A start that is
    cancelled, or gets no answer, leaves no kernel.
    """
    gateways = [GatewayConnection(config) for config in configs]
    kernel: HeadlessKernel | None = None
    try:
        gateway, own_name = await choose(gateways, name)
        if not own_name:
            own_name = str((await gateway.client.kernelspecs()).get("default", ""))
        kernel_id = await _start(gateway, own_name, folder, env, log)
        kernel = HeadlessKernel(gateway, kernel_id, own_name, log)
    finally:
        await asyncio.gather(
            *(g.close() for g in gateways if kernel is None or g is not kernel.gateway)
        )
    log.info("Kernel started: %s (%s on %s)", kernel_id, own_name, gateway.config.name)
    return kernel


async def _start(
    gateway: GatewayConnection,
    name: str,
    folder: str | None,
    env: Mapping[str, str],
    log: logging.Logger,
) -> str:
    """Start a kernel and return its id; abort the start if it gets no answer."""
    kernel_id = str(uuid.uuid4())  # chosen here, so that the start can be aborted
    body: JsonObject = {"kernel_id": kernel_id}
    if folder is not None:
        body["path"] = folder
    kernel_env = await gateway.kernel_env(env, folder, kernel_id)
    if kernel_env:
        body["env"] = kernel_env
    deadline = time.monotonic() + gateway.config.start_timeout
    try:
        model = await gateway.client.start_kernel(name, body)
    except (GatewayUnreachable, asyncio.CancelledError) as error:
        if getattr(error, "request_sent", True):
            await _shut_down(gateway, kernel_id, log, start_deadline=deadline)
        raise
    return str(model["id"])


async def _shut_down(
    gateway: GatewayConnection, kernel_id: str, log: logging.Logger, start_deadline: float = 0.0
) -> bool:
    """Shut a kernel down. Return whether it is gone.

    Until ``start_deadline`` (monotonic) a 404 means "still starting", not "gone". A run must end,
    so errors are logged, not raised. A gateway that is restarting a dead kernel answers with an
    error, and has the kernel a moment later: hence more than one attempt.
    """
    deadline = max(start_deadline, time.monotonic()) + SHUTDOWN_TIMEOUT
    while True:
        remaining = deadline - time.monotonic()
        try:
            with anyio.fail_after(max(remaining, 0)):
                await gateway.client.shutdown(kernel_id)
        except (GatewayError, TimeoutError) as error:
            if isinstance(error, KernelNotFound) and not start_deadline:
                if await is_gone(gateway, kernel_id):
                    return True
                continue
            if remaining > RETRY_INTERVAL and not isinstance(error, GatewayAuthError):
                await asyncio.sleep(RETRY_INTERVAL)
                continue
            report_orphan(log, gateway, kernel_id, str(error) or "it was not shut down in time")
            return False
        return True


def shut_down_at_exit(gateway: GatewayConnection, kernel_id: str, log: logging.Logger) -> bool:
    """Shut a kernel down when the interpreter ends, and asyncio cannot resolve names any more.

    Return whether it is gone. Errors are logged, not raised.
    """
    config = gateway.config
    url = f"{gateway.address.url}{config.kernels_endpoint}/{kernel_id}"
    try:
        headers = asyncio.run(gateway.client.headers(url, changes=True))
        with blocking_http_client(config, gateway.tls, SHUTDOWN_TIMEOUT) as http:
            answer = http.delete(url, headers=headers)
    except Exception as error:  # noqa: BLE001 - whatever it is, the program has to end
        report_orphan(log, gateway, kernel_id, str(error) or type(error).__name__)
        return False
    if answer.status_code not in (204, 404):
        report_orphan(log, gateway, kernel_id, f"HTTP {answer.status_code}")
        return False
    return True


def report_orphan(
    log: logging.Logger, gateway: GatewayConnection, kernel_id: str, reason: str
) -> None:
    """Log that a kernel may still run, or write it to stderr if the program has no logging."""
    where = without_secrets(gateway.address.url)
    text = (
        f"Kernel {kernel_id} may still run on the gateway at {where}, or come up there"
        f" ({without_secrets(reason).rstrip('.')}): shut it down there."
    )
    log.error("%s", text)
    if not has_log_handler(log):
        sys.stderr.write(f"{text}\n")


def has_log_handler(log: logging.Logger) -> bool:
    """Whether any handler writes a logger's records; those of traitlets' own logger do not."""
    logger: logging.Logger | None = log
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
