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


class Loop(Protocol):
    """An event loop, in a thread of its own (``Background``) or the caller's."""

    async def run(self, job: Coroutine[Any, Any, T]) -> T:
        """Run a job there and wait for it."""

    def call(self, function: Callable[..., object], *args: object) -> None:
        """Call a function there soon, in the order of the calls."""


class Manager(Protocol):
    """What a client wants of the kernel's manager; see ``headless.OnGateway``."""

    @property
    def background(self) -> Loop:
        """Where everything towards the gateway happens."""

    def open_link(self, session: Session, queue: MessageQueue) -> KernelChannels:
        """Open the kernel's channels."""

    def close_link(self, link: KernelChannels) -> None:
        """Close them."""

    async def _async_is_alive(self) -> bool: ...


class Channel(ChannelABC):
    """One of a kernel's channels, with the methods of jupyter_client's ``ZMQSocketChannel``."""

    def __init__(self, client: GatewayClientMixin, name: str) -> None:
        self._client, self._name = client, name

    def start(self) -> None:
        """Nothing: all channels share one connection, which the client opens."""

    def stop(self) -> None:
        """Nothing, likewise."""

    def is_alive(self) -> bool:
        """Whether there is a connection, or one is being made."""
        return self._client.is_open()

    def is_beating(self) -> bool:
        """The same; asked of the heartbeat's channel, which a gateway does not have."""
        return self.is_alive()

    def send(self, msg: JsonObject) -> None:
        """Send a message as ``session.msg`` makes it, with or without ``buffers``."""
        self._client.send(self._name, msg)

    async def get_msg(self, timeout: float | None = None) -> JsonObject:
        """The next message. Raises queue.Empty after ``timeout`` seconds.

        Raises GatewayError for a link that is lost for good, ReplyLost, DeadKernelError.
        """
        return (await self._client.receive(self._name, timeout=timeout))[1]

    async def get_msgs(self) -> list[JsonObject]:
        """All messages that are here."""
        messages = []
        while self._client.queue.has(self._name):
            messages.append((await self._client.receive(self._name))[1])
        return messages

    async def msg_ready(self) -> bool:
        """Whether a message is here."""
        return self._client.queue.has(self._name)


class BlockingChannel(Channel):
    """The same with methods that wait."""

    get_msg = run_sync(Channel.get_msg)
    get_msgs = run_sync(Channel.get_msgs)
    msg_ready = run_sync(Channel.msg_ready)


class GatewayClientMixin(KernelClient):
    """What both clients have in common. ``parent`` is the kernel's manager, which makes them."""

    parent: Manager
    allow_stdin = False
    channel_class: type[Channel] = Channel

    def __init__(self, **kwargs: Any) -> None:
        # One of its own: a gateway takes a second connection with the same id for the first one's.
        kwargs.setdefault("session", Session())
        super().__init__(**kwargs)
        self.queue = MessageQueue()
        self._link: KernelChannels | None = None
        for name in CHANNELS:
            setattr(self, f"_{name}_channel", self.channel_class(self, name))

    @property
    def owner(self) -> Manager:
        """Who opens its connections: the kernel's manager."""
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
        """Begin to connect. What is sent meanwhile is sent then.

        ``stdin``: whether the kernel may ask for input, which somebody has to give; else code that
        asks gets an error. The other arguments are jupyter_client's, and there for its callers.
        """
        self.allow_stdin = stdin
        if self._link is None:
            self.queue = MessageQueue()
            self._link = self.owner.open_link(self.session, self.queue)

    def stop_channels(self) -> None:
        """Close the connection."""
        link, self._link = self._link, None
        if link is not None:
            self.owner.close_link(link)

    @property
    def channels_running(self) -> bool:
        """Whether there is a connection, or one is being made."""
        return self.is_open()

    def is_open(self) -> bool:
        """The same; asked by the channels."""
        return self._link is not None and self._link.is_open()

    def send(self, channel: str, msg: JsonObject) -> None:
        """Send a message; called by the channels."""
        if self._link is None:
            raise RuntimeError("start_channels() comes first.")
        self.owner.background.call(self._link.send, channel, msg)

    async def receive(self, *channels: str, timeout: float | None = None) -> tuple[str, JsonObject]:
        """The next message of these channels, and its channel; called by the channels."""
        return await self.owner.background.run(self.queue.get(*channels, timeout=timeout))

    async def _async_wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers: for its start as long as the gateway may take, then
        ``timeout`` seconds. Raises GatewayError, RuntimeError.
        """
        if self._link is None:
            raise RuntimeError("start_channels() comes first.")
        await self.owner.background.run(self._link.opened())
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

        As jupyter_client's method, which reads from ZeroMQ's sockets. Raises TimeoutError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        msg_id = KernelClient.execute(
            self, code, silent, store_history, user_expressions, allow_stdin, stop_on_error
        )
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                # The reply comes after the output, or an error in its place.
                channel, msg = await self.receive("stdin", "iopub", "shell", timeout=left)
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
        """Ask at the terminal. jupyter_client's own looks at ZeroMQ's sockets afterwards."""
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
