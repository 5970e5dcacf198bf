"""One kernel on a gateway for a run without a page: started, watched, and shut down in any case."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping
from typing import Any

import httpx
from jupyter_client.session import Session

from .choosing import choose
from .config import Gateway
from .exceptions import GatewayAuthError, GatewayError, GatewayUnreachable, KernelNotFound
from .gateways import GatewayBackend
from .kernel_link import KernelLink, Mailbox
from .shared import Shared

Model = dict[str, Any]

SHUTDOWN_TIMEOUT = 15.0  # seconds; a kernel that works gets some to end by itself
PAUSE = 0.5  # seconds between two attempts to shut it down


class HeadlessKernel:
    """A kernel that runs; made by ``start_kernel``. All of it runs in one event loop."""

    def __init__(self, gateway: GatewayBackend, kernel_id: str, log: logging.Logger) -> None:
        self.gateway, self.kernel_id, self._log = gateway, kernel_id, log
        self._links: list[KernelLink] = []
        self._dead = ""
        self._gone = False
        self._asking = Shared(f"look at kernel {kernel_id}", self._ask)
        self._watching = asyncio.create_task(self._watch(), name=f"watch kernel {kernel_id}")

    def open_link(self, session: Session, mailbox: Mailbox) -> KernelLink:
        """Open its channels for a client."""
        link = KernelLink(self.gateway, self.kernel_id, session, mailbox, self._log)
        self._links.append(link)
        if self._dead:
            link.died(self._dead)
        return link

    async def interrupt(self) -> None:
        """Interrupt it. Raises GatewayError."""
        await self.gateway.client.interrupt(self.kernel_id)

    async def restart(self) -> None:
        """Restart it. Raises GatewayError."""
        await self.gateway.client.restart(self.kernel_id)
        for link in self._links:
            link.restarted()

    async def is_alive(self) -> bool:
        """Whether there is still a kernel, as far as is known: one out of reach may live.

        Asked of the gateway once in ``poll_interval``; nbclient wants to know every second.
        """
        return await self._asking.recent(self.gateway.config.poll_interval)

    async def _ask(self) -> bool:
        if not self._dead:
            try:
                model = await self.gateway.client.kernel(self.kernel_id)
            except KernelNotFound as error:
                self._gone = True
                self._died(error.message)
            except GatewayError as error:
                self._log.debug("Kernel %s is not known of: %s", self.kernel_id, error.message)
            else:
                if model.get("execution_state") == "dead":
                    self._died(f"The kernel died on its gateway. {model.get('reason', '')}".strip())
        return not self._dead

    async def close(self) -> bool:
        """Shut it down, and close all that is open to the gateway; return whether it is gone."""
        self._watching.cancel()
        await asyncio.gather(
            self._watching, *(link.close() for link in self._links), return_exceptions=True
        )
        self._gone = self._gone or await _shut_down(self.gateway, self.kernel_id)
        await self.gateway.close()
        return self._gone

    async def _watch(self) -> None:
        while await self.is_alive():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(self.gateway.config.poll_interval)

    def _died(self, reason: str) -> None:
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
    gateways = [GatewayBackend(config) for config in configs]
    kernel: HeadlessKernel | None = None
    try:
        gateway, own_name = await choose(gateways, name)
        kernel_id = await _start(gateway, own_name, folder, env)
        kernel = HeadlessKernel(gateway, kernel_id, log)
    finally:
        await asyncio.gather(
            *(g.close() for g in gateways if kernel is None or g is not kernel.gateway)
        )
    log.info("Kernel started: %s (%s on %s)", kernel_id, own_name, gateway.config.name)
    return kernel


async def _start(
    gateway: GatewayBackend, name: str, folder: str | None, env: Mapping[str, str]
) -> str:
    """Start it and return its id."""
    kernel_id = str(uuid.uuid4())  # chosen here, so that it can be taken back
    if not name:
        name = str((await gateway.client.kernelspecs()).get("default", ""))
    body: Model = {"kernel_id": kernel_id}
    if folder is not None:
        body["path"] = folder
    kernel_env = await gateway.kernel_env(env, folder, kernel_id)
    if kernel_env:
        body["env"] = kernel_env
    try:
        model = await gateway.client.start_kernel(name, body)
    except (GatewayUnreachable, asyncio.CancelledError) as error:
        if getattr(error, "request_sent", True):
            await _shut_down(gateway, kernel_id, is_coming=True)
        raise
    return str(model["id"])


async def _shut_down(gateway: GatewayBackend, kernel_id: str, is_coming: bool = False) -> bool:
    """Shut a kernel down; ``is_coming`` if its gateway may not know it yet. Return whether it is.

    A run must end, so what goes wrong is in the log. A gateway that is restarting a kernel that
    died answers with an error, and has it a moment later: hence more than one attempt.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + SHUTDOWN_TIMEOUT
    while True:
        left = deadline - loop.time()
        try:
            await asyncio.wait_for(gateway.client.shutdown(kernel_id), max(left, 0))
        except (GatewayError, asyncio.TimeoutError) as error:
            if isinstance(error, KernelNotFound) and not is_coming:
                return True
            if left > PAUSE and not isinstance(error, GatewayAuthError):
                await asyncio.sleep(PAUSE)
                continue
            gateway.config.log.error(
                "Kernel %s on the gateway %r may still run there, or come up: %s",
                kernel_id,
                gateway.config.name,
                str(error) or "it was not shut down in time",
            )
            return False
        return True


def shut_down_at_exit(gateway: GatewayBackend, kernel_id: str) -> None:
    """Shut a kernel down when the interpreter ends, and asyncio cannot resolve names any more.

    Raises whatever goes wrong.
    """
    url = f"{gateway.config.url}{gateway.config.kernels_endpoint}/{kernel_id}"
    with httpx.Client(verify=gateway.tls, trust_env=False, timeout=SHUTDOWN_TIMEOUT) as http:
        answer = http.delete(url, headers=asyncio.run(gateway.client.headers(url)))
    if answer.status_code not in (204, 404):
        raise RuntimeError(f"HTTP {answer.status_code}")
