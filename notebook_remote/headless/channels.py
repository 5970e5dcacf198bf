"""A kernel's channels over one WebSocket to its gateway, kept open; for runs without a page.

It does what a page and the relay do together. A connection that breaks off, or goes silent, is
opened again with the same session id, for which a gateway buffers the kernel's messages meanwhile.
A request is never sent twice; ``pending_replies`` finds out which replies were lost, and their
readers get ReplyLost.

All of it runs in one event loop.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import time
from collections import deque
from collections.abc import Callable

import anyio
from jupyter_client.session import Session
from nbclient.exceptions import DeadKernelError
from tornado.httputil import HTTPHeaders
from tornado.iostream import IOStream, StreamClosedError

from ..client.channels import OpenChannels, open_channels
from ..client.connection import GatewayConnection
from ..client.messages import V1, UnreadableMessage, decode, encode, ends_kernel, too_large
from ..exceptions import GatewayError, GatewayUnreachable, KernelNotFound, ReplyLost
from ..net import tcp
from ..net.frames import CLOSE, PING, PONG, FrameError, MessageAssembler, encode_frame
from ..types import JsonObject
from .message_queue import MessageQueue
from .pending_replies import Delivery, PendingReplies

READ_SIZE = 256 * 1024  # bytes
PINGS_PER_TIMEOUT = 5  # pings within Gateway.link_timeout
SENDING_FACTOR = 8  # times link_timeout may pass in silence while the gateway reads our data
# Seconds to wait for the answer to a probe before anything else is sent on a connection, as in
# JupyterLab: a gateway that is still connecting drops output. A busy kernel takes longer.
PROBE_TIMEOUT = 3.0
# Seconds to wait for the output of a probe, too, before the next probe. Stock gateways do not wait
# for their subscription to a kernel's output if the kernel is busy while they connect.
SUBSCRIPTION_TIMEOUT = 0.5
# Seconds after the last message for which a reply is held back until its cell's output has ended.
OUTPUT_TIMEOUT = 10.0
KERNEL_EXITED = "The kernel was ended by the code that ran last: exit() or quit() does that."


class ConnectionLost(Exception):
    """The connection has ended, ``silently`` if it was not closed but timed out."""

    def __init__(self, reason: str, silently: bool = False) -> None:
        super().__init__(reason)
        self.silently = silently


class KernelChannels:
    """The channels of one kernel for one client. ``queue`` gets what the kernel sends."""

    def __init__(
        self,
        gateway: GatewayConnection,
        kernel_id: str,
        session: Session,
        queue: MessageQueue,
        log: logging.Logger,
        on_death: Callable[[str], object] = lambda reason: None,
    ) -> None:
        """``on_death`` is called with the reason when a message says that the kernel has ended."""
        self._on_death = on_death
        self._gateway, self._kernel_id = gateway, kernel_id
        self._session, self._queue, self._log = session, queue, log
        self._where = gateway.config.label
        self._outbox: deque[tuple[str, JsonObject]] = deque()
        self._to_send = asyncio.Event()
        self._pending = PendingReplies()
        # Whether the kernel's reply to the last probe came, and its output.
        self._probe_replied, self._probe_published = asyncio.Event(), asyncio.Event()
        self._received_at = self._last_message_at = 0.0  # monotonic
        # Monotonic: when a connection was lost; None once a ping on a new one was answered.
        self._failing_since: float | None = None
        self._opened = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"channels of kernel {kernel_id}")

    async def opened(self) -> None:
        """Wait for the first connection, which is open once the kernel is up.

        Raises GatewayError, DeadKernelError.
        """
        opened = asyncio.create_task(self._opened.wait(), name="wait for channels")
        await asyncio.wait({opened, self._task}, return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if not self._opened.is_set():
            await self._queue.get("", timeout=0)  # raises the reason

    def send(self, channel: str, message: JsonObject) -> None:
        """Send a message on the current connection or the next one, at most once."""
        self._outbox.append((channel, message))
        self._to_send.set()

    def is_open(self) -> bool:
        """Whether it is connected, or connecting."""
        return not self._task.done()

    def died(self, reason: str) -> None:
        """Raise DeadKernelError for all readers, now and later: the kernel has ended."""
        self._release_replies()
        self._queue.fail(DeadKernelError(reason))
        self._task.cancel()

    def restarted(self) -> None:
        """Give up all pending requests: the kernel was restarted by its user."""
        for channel in self._pending.abandon():
            self._queue.put(channel, ReplyLost("The kernel was restarted meanwhile."))

    async def close(self) -> None:
        """Close the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    # -- connections ----------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while True:
                opened = await self._dial()
                self._pending.begin_epoch()
                self._opened.set()
                try:
                    await self._use(opened)
                except ConnectionLost as lost:
                    self._log.warning(
                        "The connection to kernel %s on %s was lost (%s): connecting again.%s",
                        self._kernel_id,
                        self._where,
                        lost,
                        " Output of the last seconds may be missing." if lost.silently else "",
                    )
                    if lost.silently:  # other connections may have gone the same way
                        await self._gateway.client.renew_connections()
                    await self._pause_after(lost)
        except KernelNotFound as error:
            self.died(error.message)
        except GatewayError as error:
            self._queue.fail(error)
        except Exception as error:  # readers must not wait for ever
            self._queue.fail(error)
            raise

    async def _pause_after(self, lost: ConnectionLost) -> None:
        """Reconnect at once the first time, later with a pause, and not for ever."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        else:
            await asyncio.sleep(self._gateway.config.gateway_retry_interval)
            self._check_reconnect_timeout(f"The connection was lost: {lost}.")

    def _check_reconnect_timeout(self, reason: str, pause: float = 0.0) -> None:
        """Raise GatewayUnreachable if ``reconnect_timeout`` ends within ``pause`` seconds."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        limit = self._gateway.config.reconnect_timeout
        if time.monotonic() + pause > self._failing_since + limit:
            raise GatewayUnreachable(
                f"There was no connection to the kernel for {limit:.0f} s"
                f" (Gateway.reconnect_timeout). {reason}"
            )

    async def _dial(self) -> OpenChannels:
        """Open a connection; retry while the gateway does not answer at all."""
        config = self._gateway.config
        pause = config.gateway_retry_interval
        headers = HTTPHeaders({"Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": V1})
        while True:
            headers["Sec-WebSocket-Key"] = base64.b64encode(os.urandom(16)).decode()
            try:
                return await open_channels(
                    self._gateway, self._kernel_id, self._session.session, headers
                )
            except (GatewayUnreachable, KernelNotFound) as error:
                if isinstance(error, KernelNotFound) and await is_gone(
                    self._gateway, self._kernel_id
                ):
                    raise
                self._check_reconnect_timeout(error.message, pause)
                self._log.debug("No connection to the kernel: %s", error.message)
            await asyncio.sleep(pause)
            pause = min(2 * pause, config.gateway_retry_interval_max)

    async def _use(self, opened: OpenChannels) -> None:
        """Send and receive until the connection ends. Raises Lost."""
        stream = opened.stream
        v1 = opened.headers.get("Sec-WebSocket-Protocol") == V1
        self._received_at = time.monotonic()
        tcp.tune(stream.socket, None)
        jobs = {
            "read from kernel": self._read(stream, v1),
            "write to kernel": self._write(stream, v1),
            "watch link": self._watch(stream),
        }
        tasks = [asyncio.create_task(job, name=name) for name, job in jobs.items()]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        except StreamClosedError as error:
            raise ConnectionLost(str(error.real_error or "closed by the other side")) from error
        except FrameError as error:
            raise ConnectionLost(f"the gateway sent {error.reason}") from error
        finally:
            stream.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, stream: IOStream, v1: bool) -> None:
        with anyio.move_on_after(PROBE_TIMEOUT):
            await self._probe_until_ready(stream, v1)
        while True:
            while self._outbox:
                await self._send(stream, v1, *self._outbox.popleft())
            self._to_send.clear()
            await self._to_send.wait()

    async def _probe_until_ready(self, stream: IOStream, v1: bool) -> None:
        """Send probes until both the reply to one and its output arrive."""
        self._probe_replied.clear()
        self._probe_published.clear()
        while not self._probe_published.is_set():
            self._probe(stream, v1)
            await self._probe_replied.wait()
            with anyio.move_on_after(SUBSCRIPTION_TIMEOUT):
                await self._probe_published.wait()

    def _probe(self, stream: IOStream, v1: bool) -> None:
        probe = self._session.msg("kernel_info_request")
        self._pending.probe_sent(str(probe["msg_id"]))
        opcode, payload = encode(probe, "shell", self._session, v1)
        stream.write(encode_frame(opcode, payload, to_gateway=True))

    async def _send(self, stream: IOStream, v1: bool, channel: str, message: JsonObject) -> None:
        opcode, payload = encode(message, channel, self._session, v1)
        limit = self._gateway.config.max_message_size
        if len(payload) > limit:
            self._queue.put(channel, GatewayError(too_large(len(payload), limit)))
            return
        if message["msg_type"].endswith("_request"):
            self._pending.sent(message["msg_id"], channel)
        await stream.write(encode_frame(opcode, payload, to_gateway=True))

    async def _read(self, stream: IOStream, v1: bool) -> None:
        frames = MessageAssembler()
        acknowledge = tcp.quick_ack(stream.socket)
        while True:
            data = await stream.read_bytes(READ_SIZE, partial=True)
            acknowledge()
            self._received_at = time.monotonic()
            for opcode, payload in frames.feed(data):
                if opcode == PING:
                    stream.write(encode_frame(PONG, payload, to_gateway=True))
                elif opcode == CLOSE:
                    raise ConnectionLost(
                        f"closed by the gateway, code {int.from_bytes(payload[:2], 'big')}"
                    )
                elif opcode != PONG:
                    self._receive(stream, opcode, payload, v1)

    def _receive(self, stream: IOStream, opcode: int, payload: bytes, v1: bool) -> None:
        try:
            channel, message = decode(opcode, payload, v1)
        except UnreadableMessage as error:
            self._log.warning(
                "A message of kernel %s on %s cannot be read and is left out: %s",
                self._kernel_id,
                self._where,
                error,
            )
            if self._pending.any_sent_in_this_epoch:  # it may have been a reply
                self._pending.begin_epoch()
                self._probe(stream, v1)
        else:
            self._on_message(channel, message)

    async def _watch(self, stream: IOStream) -> None:
        """Detect a dead connection: the gateway answers on a new connection, but not on this one.

        A gateway that answers on neither may only hang: closing the connection would lose the data
        that is on its way.
        """
        limit = self._gateway.config.link_timeout
        answers = False
        while True:
            stream.write(encode_frame(PING, b"", to_gateway=True))
            await asyncio.sleep(limit / PINGS_PER_TIMEOUT)
            silent = time.monotonic() - self._received_at
            unacknowledged = tcp.unacknowledged_for(stream.socket)
            silence_limit = limit * (SENDING_FACTOR if stream.writing() else 1)
            if unacknowledged >= limit or silent >= silence_limit:
                reason = f"nothing came for {max(silent, unacknowledged):.0f} s"
                if answers:
                    raise ConnectionLost(reason, silently=True)
                answers = await self._gateway.answers()
                if not answers:
                    self._check_reconnect_timeout(f"The connection was silent: {reason}.")
                continue
            answers = False
            if silent < limit / PINGS_PER_TIMEOUT:  # the ping was answered
                self._failing_since = None
            if time.monotonic() - self._last_message_at > OUTPUT_TIMEOUT:
                self._release_replies()

    # -- messages -------------------------------------------------------------------------------

    def _on_message(self, channel: str, message: JsonObject) -> None:
        self._last_message_at = time.monotonic()
        parent = message["parent_header"].get("msg_id")
        if self._pending.is_probe(parent):
            if channel == "shell":
                self._probe_replied.set()
                self._deliver(self._pending.probe_answered(parent))
            else:
                self._probe_published.set()
            return
        state = message["content"].get("execution_state")
        if message["msg_type"] == "status" and state in ("restarting", "dead") and not parent:
            self._kernel_ended(
                f"The kernel died on {self._where}, and all it knew is lost: often it had no memory"
                " left. The gateway's log may say more."
            )
        self._deliver(self._pending.received(channel, message))

    def _deliver(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            message = delivery.message
            self._queue.put(delivery.channel, self._reply_lost() if message is None else message)
            if message is not None and ends_kernel(message):
                self._kernel_ended(KERNEL_EXITED)

    def _kernel_ended(self, reason: str) -> None:
        self.died(reason)
        self._on_death(reason)

    def _release_replies(self) -> None:
        """Deliver replies that have come, whether or not their output has ended."""
        self._deliver(self._pending.release())

    def _reply_lost(self) -> ReplyLost:
        return ReplyLost(
            f"The kernel's reply was lost with a connection to {self._where}, or cannot be read:"
            " whether all of the code ran is not known. Run it again."
        )


async def is_gone(gateway: GatewayConnection, kernel_id: str) -> bool:
    """Whether a kernel is certainly gone, after a first 404 for it."""
    try:
        return await gateway.client.is_gone(kernel_id)
    except GatewayError:
        return False
