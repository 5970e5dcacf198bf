"""jupyter_client's kernel clients, async and blocking, for a kernel on a gateway."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Coroutine
from getpass import getpass
from queue import Empty
from typing import Any, Protocol, TypeVar

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.channelsabc import ChannelABC
from jupyter_client.client import KernelClient
from jupyter_client.session import Session
from jupyter_core.utils import run_sync

from ..types import JsonObject
from .channels import KernelChannels
from .message_queue import MessageQueue

T = TypeVar("T")
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


class JobRunner(Protocol):
    """Runs jobs in an event loop: that of an ``EventLoopThread``, or the caller's own."""

    async def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a job there and wait for it."""

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function there soon, in the order of the calls."""


class ChannelsOwner(Protocol):
    """What a client needs of its kernel's manager; see ``manager.GatewayManagerMixin``."""

    @property
    def background(self) -> JobRunner:
        """Runs the connections to the gateway."""

    def open_channels(self, session: Session, queue: MessageQueue) -> KernelChannels:
        """Open the kernel's channels."""

    def close_channels(self, channels: KernelChannels) -> None:
        """Close the kernel's channels."""

    async def _async_is_alive(self) -> bool: ...


class Channel(ChannelABC):
    """One of a kernel's channels, with the methods of jupyter_client's ``ZMQSocketChannel``."""

    def __init__(self, client: GatewayClientMixin, name: str) -> None:
        self._client, self._name = client, name

    def start(self) -> None:
        """Do nothing: all channels share one connection, which the client opens."""

    def stop(self) -> None:
        """Do nothing, likewise."""

    def is_alive(self) -> bool:
        """Whether the client is connected, or connecting."""
        return self._client.is_open()

    def is_beating(self) -> bool:
        """As ``is_alive``; for the heartbeat channel, which a gateway does not have."""
        return self.is_alive()

    def send(self, msg: JsonObject) -> None:
        """Send a message as ``session.msg`` makes it, with or without ``buffers``."""
        self._client.send(self._name, msg)

    async def get_msg(self, timeout: float | None = None) -> JsonObject:
        """The next message. Raises queue.Empty after ``timeout`` seconds.

        Raises GatewayError if reconnecting failed, ReplyLost, DeadKernelError.
        """
        return (await self._client.receive(self._name, timeout=timeout))[1]

    async def get_msgs(self) -> list[JsonObject]:
        """All messages that have come."""
        messages = []
        while self._client.queue.has(self._name):
            messages.append((await self._client.receive(self._name))[1])
        return messages

    async def msg_ready(self) -> bool:
        """Whether a message has come."""
        return self._client.queue.has(self._name)


class BlockingChannel(Channel):
    """A channel whose methods block."""

    get_msg = run_sync(Channel.get_msg)
    get_msgs = run_sync(Channel.get_msgs)
    msg_ready = run_sync(Channel.msg_ready)


class GatewayClientMixin(KernelClient):
    """Base of both clients. ``parent`` is the kernel's manager, which makes them."""

    parent: ChannelsOwner
    allow_stdin = False
    channel_class: type[Channel] = Channel

    def __init__(self, **kwargs: Any) -> None:
        # A new session: a gateway takes connections with one session id for those of one client.
        kwargs.setdefault("session", Session())
        super().__init__(**kwargs)
        self.queue = MessageQueue()
        self._channels: KernelChannels | None = None
        for name in CHANNELS:
            setattr(self, f"_{name}_channel", self.channel_class(self, name))

    @property
    def owner(self) -> ChannelsOwner:
        """What opens its connections: the kernel's manager."""
        return self.parent

    # -- the connection -------------------------------------------------------------------------

    def start_channels(
        self,
        shell: bool = True,
        iopub: bool = True,
        stdin: bool = False,
        hb: bool = True,
        control: bool = True,
    ) -> None:
        """Begin to connect. Messages are queued until then.

        ``stdin``: whether code may ask for input, which the caller answers; else it gets an error.
        The other arguments are jupyter_client's, and are ignored.
        """
        self.allow_stdin = stdin
        if self._channels is None:
            self.queue = MessageQueue()
            self._channels = self.owner.open_channels(self.session, self.queue)

    def stop_channels(self) -> None:
        """Close the connection."""
        channels, self._channels = self._channels, None
        if channels is not None:
            self.owner.close_channels(channels)

    @property
    def channels_running(self) -> bool:
        """Whether the client is connected, or connecting."""
        return self.is_open()

    def is_open(self) -> bool:
        """Whether the client is connected, or connecting; called by the channels."""
        return self._channels is not None and self._channels.is_open()

    def send(self, channel: str, msg: JsonObject) -> None:
        """Send a message; called by the channels."""
        if self._channels is None:
            raise RuntimeError("start_channels() comes first.")
        self.owner.background.call(self._channels.send, channel, msg)

    async def receive(self, *channels: str, timeout: float | None = None) -> tuple[str, JsonObject]:
        """The next message of these channels, and its channel; called by the channels."""
        return await self.owner.background.run(self.queue.get(*channels, timeout=timeout))

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers: ``timeout`` seconds from the end of its start.

        Raises GatewayError, RuntimeError.
        """
        if self._channels is None:
            raise RuntimeError("start_channels() comes first.")
        await self.owner.background.run(self._channels.opened())
        await super()._async_wait_for_ready(timeout=timeout)

    async def _async_is_alive(self) -> bool:
        return await self.owner._async_is_alive()

    # -- with output as it comes ------------------------------------------------------------------

    async def _async_execute_interactive(
        self,
        code: str,
        silent: bool = False,
        store_history: bool = True,
        user_expressions: dict[str, Any] | None = None,
        allow_stdin: bool | None = None,
        stop_on_error: bool = True,
        timeout: float | None = None,
        output_hook: Callable[[JsonObject], object] | None = None,
        stdin_hook: Callable[[JsonObject], object] | None = None,
    ) -> JsonObject:
        """Execute code, show its output as it comes, and return the reply.

        It replaces jupyter_client's method, which reads from ZeroMQ sockets. Raises TimeoutError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        msg_id = KernelClient.execute(
            self, code, silent, store_history, user_expressions, allow_stdin, stop_on_error
        )
        while True:
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                # The reply comes after the output, or an error in its place.
                channel, msg = await self.receive("stdin", "iopub", "shell", timeout=remaining)
            except Empty:
                raise TimeoutError("Timeout waiting for output") from None
            if channel == "stdin":
                answer = (stdin_hook or self._stdin_hook_default)(msg)
                if inspect.isawaitable(answer):
                    await answer
            elif msg["parent_header"].get("msg_id") != msg_id:
                continue  # an answer to an earlier request
            elif channel == "shell":
                return msg
            else:
                (output_hook or self._output_hook_default)(msg)

    async def _stdin_hook_default(self, msg: JsonObject) -> None:
        """Ask at the terminal. jupyter_client's hook uses ZeroMQ sockets afterwards."""
        content = msg["content"]
        ask: Callable[[str], str] = getpass if content.get("password") else input
        try:
            self.input(ask(content["prompt"]))
        except EOFError:
            self.input("\x04")


class GatewayKernelClient(GatewayClientMixin, AsyncKernelClient):
    """jupyter_client's ``AsyncKernelClient``, for a kernel on a gateway."""

    wait_for_ready = GatewayClientMixin._async_wait_for_ready
    is_alive = GatewayClientMixin._async_is_alive
    execute_interactive = GatewayClientMixin._async_execute_interactive


class BlockingGatewayKernelClient(GatewayClientMixin, BlockingKernelClient):
    """jupyter_client's ``BlockingKernelClient``, for a kernel on a gateway."""

    channel_class = BlockingChannel
    wait_for_ready = run_sync(GatewayClientMixin._async_wait_for_ready)
    is_alive = run_sync(GatewayClientMixin._async_is_alive)
    execute_interactive = run_sync(GatewayClientMixin._async_execute_interactive)
