"""One kernel on a gateway for a run without a page: started, watched, and shut down in any case."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
import uuid
from collections.abc import Mapping

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

SHUTDOWN_TIMEOUT = 15.0  # seconds; a kernel that works gets some to end by itself
PAUSE = 0.5  # seconds between two attempts to shut it down


class HeadlessKernel:
    """A kernel that runs; made by ``start_kernel``. All of it runs in one event loop."""

    def __init__(
        self, gateway: GatewayConnection, kernel_id: str, name: str, log: logging.Logger
    ) -> None:
        """``name`` is the gateway's own for the kernelspec."""
        self.gateway, self.kernel_id, self.name, self._log = gateway, kernel_id, name, log
        self._links: set[KernelChannels] = set()
        self._dead = ""
        self._gone = False
        self._asking = SingleFlight(f"look at kernel {kernel_id}", self._ask)
        self._poll_task = self._watch_task()

    def open_link(self, session: Session, queue: MessageQueue) -> KernelChannels:
        """Open its channels for a client."""
        link = KernelChannels(
            self.gateway, self.kernel_id, session, queue, self._log, on_death=self._died
        )
        self._links.add(link)
        if self._dead:
            link.died(self._dead)
        return link

    async def close_link(self, link: KernelChannels) -> None:
        """Close a client's channels."""
        self._links.discard(link)
        await link.close()

    async def kernelspec(self) -> dict[str, str]:
        """What a notebook says of it, as far as the gateway tells."""
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
        for link in self._links:
            link.restarted()
        if self._dead:  # clients of before stay without it; new ones can be made
            self._dead = ""
            self._asking.forget()
            self._poll_task.cancel()
            self._poll_task = self._watch_task()

    async def is_alive(self) -> bool:
        """Whether there is still a kernel, as far as is known: one out of reach may live.

        Asked of the gateway once in ``poll_interval``; nbclient wants to know every second.
        """
        return not self._dead and await self._asking.recent(self.gateway.config.poll_interval)

    async def _ask(self) -> bool:
        if not self._dead:
            try:
                model = await self.gateway.client.kernel(self.kernel_id)
            except KernelNotFound as error:
                await self._schedule_recheck(error)
            except GatewayError as error:
                self._log.debug(
                    "Whether kernel %s lives is not known: %s", self.kernel_id, error.message
                )
            else:
                if model.get("execution_state") == "dead":
                    self._died(
                        f"The kernel died on its gateway. {model.get('reason') or ''}".strip()
                    )
        return not self._dead

    async def _schedule_recheck(self, error: KernelNotFound) -> None:
        """Find out whether a kernel that its gateway did not know a moment ago is gone."""
        self._gone = await is_gone(self.gateway, self.kernel_id)
        if self._gone:
            self._died(error.message)

    async def close(self) -> bool:
        """Shut it down, and close all that is open to the gateway; return whether it is gone."""
        self._poll_task.cancel()
        await asyncio.gather(
            self._poll_task, *(link.close() for link in self._links), return_exceptions=True
        )
        self._gone = self._gone or await _shut_down(self.gateway, self.kernel_id, self._log)
        await self.gateway.close()
        return self._gone

    def _watch_task(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._watch(), name=f"watch kernel {self.kernel_id}")

    async def _watch(self) -> None:
        while await self.is_alive():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(self.gateway.config.poll_interval)

    def _died(self, reason: str) -> None:
        if not self._dead:
            self._dead = reason
            for link in self._links:
                link.died(reason)


async def start_kernel(
    configs: list[Gateway],
    name: str,
    folder: str | None,
    env: Mapping[str, str],
    log: logging.Logger,
) -> HeadlessKernel:
    """Start a kernel on the gateway that its name means (see ``choosing``). Raises GatewayError.

    ``folder`` is where it should start, if the gateway's computer has it too. A start that is
    given up, or gets no answer, leaves no kernel.
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
    """Start it and return its id."""
    kernel_id = str(uuid.uuid4())  # chosen here, so that it can be taken back
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
    so what goes wrong is told, not raised. A gateway that is restarting a kernel that died answers
    with an error, and has it a moment later: hence more than one attempt.
    """
    deadline = max(start_deadline, time.monotonic()) + SHUTDOWN_TIMEOUT
    while True:
        left = deadline - time.monotonic()
        try:
            await asyncio.wait_for(gateway.client.shutdown(kernel_id), max(left, 0))
        except (GatewayError, asyncio.TimeoutError) as error:
            if isinstance(error, KernelNotFound) and not start_deadline:
                if await is_gone(gateway, kernel_id):
                    return True
                continue
            if left > PAUSE and not isinstance(error, GatewayAuthError):
                await asyncio.sleep(PAUSE)
                continue
            report_orphan(log, gateway, kernel_id, str(error) or "it was not shut down in time")
            return False
        return True


def shut_down_at_exit(gateway: GatewayConnection, kernel_id: str, log: logging.Logger) -> bool:
    """Shut a kernel down when the interpreter ends, and asyncio cannot resolve names any more.

    Return whether it is gone. What goes wrong is told.
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
    log: logging.Logger, gateway: GatewayConnection, kernel_id: str, why: str
) -> None:
    """Say that a kernel may be left, on stderr if nobody reads the log of this program."""
    where = without_secrets(gateway.address.url)
    text = (
        f"Kernel {kernel_id} may still run on the gateway at {where}, or come up there"
        f" ({without_secrets(why).rstrip('.')}): shut it down there."
    )
    log.error("%s", text)
    if not is_read(log):
        sys.stderr.write(f"{text}\n")


def is_read(log: logging.Logger) -> bool:
    """Whether a program has set its logging up; traitlets' logger alone writes nowhere."""
    logger: logging.Logger | None = log
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
