"""A TCP intermediary between real processes: a link that can be recorded, slowed down and broken.

It stands for whatever is in between in real life: a load balancer, a proxy, a NAT, a VPN. So it
has two TCP connections for each one that passes through it, and its own operating system
acknowledges what either end sends. In a ``blackhole`` that matters: nothing passes, neither bytes
nor the news that an end has closed, but an end that sends keeps getting its acknowledgements, and
answers to its TCP keepalive, from here. To its TCP the peer is well. Only something that has to
come from the peer itself, the pong to a WebSocket ping, tells that it is not.

``up`` is the way to whoever it stands in front of (a gateway, or a notebook server), ``down`` the
way back.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Coroutine
from typing import Any

CHUNK = 256 * 1024  # bytes read at once
ON_ITS_WAY = 1024 * 1024  # bytes kept of one connection in one direction; then it reads no more
RECORDED = 16 * 1024 * 1024  # bytes of a direction that are kept for a test to look at
PATIENCE = 10.0  # seconds for the loop to do as told


class Way:
    """One direction: what is done to the bytes of all connections in it."""

    def __init__(self, recorded: int, rewrite: tuple[bytes, bytes] = (b"", b"")) -> None:
        self.delay = 0.0  # seconds
        self.rate = float("inf")  # bytes per second of a connection
        self.open = asyncio.Event()
        self.open.set()
        self.record = bytearray()
        self._recorded = recorded
        self._rewrite = rewrite if rewrite[0] else (b"\0no such bytes\0", b"")

    def read(self, data: bytes) -> bytes:
        """What to pass on for what came."""
        data = data.replace(*self._rewrite)
        self.record += data[: self._recorded - len(self.record)]
        return data


class End:
    """One of a connection's two sockets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        if writer.get_extra_info("ssl_object") is None:
            writer.transport.set_write_buffer_limits(0)  # drain() means that TCP has it
        # With TLS asyncio's drain() would then wait until something comes the other way.

    @property
    def gone(self) -> bool:
        """Whether whoever is there has closed, even if there is still something to read."""
        if self.writer.transport.is_closing():
            return True
        poll = select.poll()
        poll.register(self.writer.get_extra_info("socket").fileno(), select.POLLRDHUP)
        return bool(poll.poll(0))

    def end(self, reset: bool) -> None:
        """Close it now, politely or with a reset."""
        if self.writer.transport.is_closing():
            return
        sock = self.writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            if reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                sock.shutdown(socket.SHUT_RDWR)  # a close with bytes unread would be a reset
        self.writer.transport.abort()


class Over(Exception):
    """One end has reset the connection, or closed it where that has no half."""

    def __init__(self, reset: bool) -> None:
        super().__init__()
        self.reset = reset


class Line:
    """One direction of one connection: from ``source``, through ``way``, to ``sink``.

    ``back`` is the opposite way, by which the news travels that ``sink`` does not take any more.
    """

    def __init__(self, source: End, sink: End, way: Way, back: Way) -> None:
        self.source, self.sink, self.way, self.back = source, sink, way, back
        self._queue: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue()
        self._size = 0
        self._room = asyncio.Event()
        self._room.set()

    async def read(self) -> None:
        """Take what the source sends, until its end (b"") or its reset (None)."""
        try:
            while data := await self.source.reader.read(CHUNK):
                self._put(self.way.read(data))
                await self._room.wait()
        except OSError:
            self._put(None)
        else:
            self._put(b"")

    def _put(self, data: bytes | None) -> None:
        self._queue.put_nowait((asyncio.get_running_loop().time(), data))
        self._size += len(data or b"")
        if self._size > ON_ITS_WAY:
            self._room.clear()

    async def write(self) -> None:
        """Give it to the sink, as late and as slowly as the way says."""
        while True:
            arrived, data = await self._queue.get()
            late = arrived + self.way.delay - asyncio.get_running_loop().time()
            if late > 0:
                await asyncio.sleep(late)
            if not data:
                await self.way.open.wait()
                if data is None or not self.sink.writer.can_write_eof():  # TLS cannot
                    raise Over(reset=data is None)
                with contextlib.suppress(OSError):  # reset meanwhile: the other line says so
                    self.sink.writer.write_eof()
                return
            await self._send(data)
            self._size -= len(data)
            self._room.set()

    async def _send(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            await self.way.open.wait()
            rate = self.way.rate
            piece = data[position : position + int(max(1, min(rate / 20, CHUNK)))]
            try:
                self.sink.writer.write(piece)
                await self.sink.writer.drain()
            except OSError:
                await self.back.open.wait()
                raise Over(reset=True) from None
            position += len(piece)
            if rate < float("inf"):
                await asyncio.sleep(len(piece) / rate)


class Connection:
    """A connection through the intermediary."""

    def __init__(self, near: End, up: Way, down: Way) -> None:
        self.near, self.up, self.down = near, up, down
        self.far: End | None = None
        self.task = asyncio.current_task()

    async def run(self, target: int) -> None:
        """Pass on what comes until both ends have closed or one has reset it."""
        was_held = not (self.up.open.is_set() and self.down.open.is_set())
        await self.up.open.wait()
        await self.down.open.wait()
        if was_held and self.near.gone:
            self.near.end(reset=True)  # given up meanwhile: the target never hears of it
            return
        try:
            self.far = End(*await asyncio.open_connection("127.0.0.1", target, limit=CHUNK))
        except OSError:
            self.near.end(reset=False)
            return
        lines = (
            Line(self.near, self.far, self.up, self.down),
            Line(self.far, self.near, self.down, self.up),
        )
        jobs = [job for line in lines for job in (line.read(), line.write())]
        tasks = [asyncio.create_task(job, name=f"intermediary {job.__name__}") for job in jobs]
        try:
            await asyncio.gather(*tasks)
            self.end(reset=False)
        except Over as over:
            self.end(over.reset)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def end(self, reset: bool) -> None:
        """Close both sockets now."""
        self.near.end(reset)
        if self.far is not None:
            self.far.end(reset)

    def die(self) -> None:
        """Pass nothing on any more, and leave the sockets open: nobody is told."""
        if self.task is not None:
            self.task.cancel()


class Intermediary:
    """Listens on a random port of loopback and forwards every connection to ``port``.

    ``rewrite`` replaces bytes in what comes down. Of each direction the first ``recorded`` bytes
    are kept, in ``to_gateway`` (up) and ``to_server`` (down). With ``tls`` it speaks TLS to
    whoever connects, as a reverse proxy does.
    """

    def __init__(
        self,
        port: int,
        rewrite: tuple[bytes, bytes] = (b"", b""),
        recorded: int = RECORDED,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.target = port
        self.accepted = 0
        self._tls = tls
        self._ways = {"up": Way(recorded), "down": Way(recorded, rewrite)}
        self.to_gateway, self.to_server = (way.record for way in self._ways.values())
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._closing: list[asyncio.Task[None]] = []  # until their TLS handshakes are over, too
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="intermediary", daemon=True
        )
        self._thread.start()
        self.port = 0
        self._do(self._listen())
        self.url = f"http{'s' if tls else ''}://localhost:{self.port}"

    def __enter__(self) -> Intermediary:
        return self

    def __exit__(self, *args: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    # -- what a test does to the link -----------------------------------------------------------

    def cut(self, reset: bool = False) -> None:
        """Close all connections now, politely or with a reset. New ones may be made at once."""
        self._do(self._cut(reset))

    def refuse(self, reset: bool = False) -> None:
        """Close all connections, and refuse new ones until ``restore``."""
        self._do(self._refuse(reset))

    def blackhole(self, *ways: str) -> None:
        """Let nothing pass on these ways (``up``, ``down``; both without any), until ``restore``.

        The ends are told nothing. A new connection is made, by the operating system, and silent.
        """
        self._do(self._change(ways, lambda way: way.open.clear()))

    def delay(self, seconds: float, *ways: str) -> None:
        """Let everything arrive so much later on these ways."""
        self._do(self._change(ways, lambda way: setattr(way, "delay", seconds)))

    def throttle(self, rate: float, *ways: str) -> None:
        """Let so many bytes per second of each connection pass on these ways."""
        self._do(self._change(ways, lambda way: setattr(way, "rate", rate)))

    def restore(self, forget: bool = False) -> None:
        """Be a good link again.

        What a blackhole held back now flows, as on a network that is back: TCP sends it again.
        With ``forget`` the connections of before stay as silent as they were, as with a NAT that
        has lost its table; new ones work.
        """
        self._do(self._restore(forget))

    # -- how ------------------------------------------------------------------------------------

    def _do(self, job: Coroutine[Any, Any, None]) -> None:
        """Run it where the connections are, and wait for it."""
        asyncio.run_coroutine_threadsafe(job, self._loop).result(PATIENCE)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, limit=CHUNK, backlog=512, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._server is None:  # it began before new ones were refused
            End(reader, writer).end(reset=False)
            return
        connection = Connection(End(reader, writer), self._ways["up"], self._ways["down"])
        self._connections.add(connection)
        with contextlib.suppress(asyncio.CancelledError):
            await connection.run(self.target)
            self._connections.discard(connection)

    async def _cut(self, reset: bool) -> None:
        connections, self._connections = self._connections, set()
        for connection in connections:
            connection.die()
            connection.end(reset)
        await asyncio.sleep(0)  # the sockets are closed after this

    async def _refuse(self, reset: bool) -> None:
        if self._server is not None:
            closing = asyncio.create_task(self._server.wait_closed(), name="close intermediary")
            self._closing.append(closing)
            await asyncio.sleep(0)  # it has to wait before it is closed (Python 3.11)
            self._server.close()
            self._server = None
        await self._cut(reset)

    async def _change(self, ways: tuple[str, ...], change: Any) -> None:
        for name in ways or self._ways:
            change(self._ways[name])

    async def _restore(self, forget: bool) -> None:
        if forget:
            for connection in self._connections:
                if connection.far is not None:
                    connection.die()
        for way in self._ways.values():
            way.delay, way.rate = 0.0, float("inf")
            way.open.set()
        if self._server is None:
            await self._listen()

    async def _end(self) -> None:
        await self._refuse(reset=False)
        rest = asyncio.all_tasks() - {asyncio.current_task(), *self._closing}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        if self._closing:
            await asyncio.wait(self._closing, timeout=PATIENCE / 2)
