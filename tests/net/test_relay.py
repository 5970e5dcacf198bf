"""The relay between two real streams: exact bytes, bounded memory, honest ends, dead links."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable

import pytest
from tornado.iostream import IOStream, StreamClosedError

from notebook_remote.handlers.message_filter import MessageFilter
from notebook_remote.net.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    apply_mask,
    encode_close_frame,
    encode_frame,
)
from notebook_remote.net.leg import BUFFER_SIZE
from notebook_remote.net.relay import Relay
from notebook_remote.net.tcp import tune, unacknowledged_for

from ..support.frames import request
from ..support.streams import connected


def relaying(
    test: Callable[[Relay, IOStream, IOStream], Awaitable[None]],
    link_timeout: float = 60,
    tls: bool = False,
    gateway_answers: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Run a test that gets the relay and the outer ends: page and gateway."""
    more = {} if gateway_answers is None else {"gateway_answers": gateway_answers}

    async def run() -> None:
        page, browser = await connected(tls)
        gateway, kernel = await connected(tls)
        guard = MessageFilter("v1.kernel.websocket.jupyter.org", 10_000_000)
        relay = Relay(browser, gateway, guard, link_timeout=link_timeout, **more)
        running = asyncio.create_task(relay.run())
        try:
            await asyncio.wait_for(test(relay, page, kernel), 60)
        finally:
            relay.close()
            await asyncio.wait_for(running, 10)
            page.close()
            kernel.close()

    asyncio.run(run())


async def read_frame(stream: IOStream) -> tuple[int, bytes]:
    """The opcode and the unmasked payload of the next frame."""
    first, second = await stream.read_bytes(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await stream.read_bytes(2 if size == 126 else 8), "big")
    mask = await stream.read_bytes(4) if second & 0x80 else b""
    payload = await stream.read_bytes(size) if size else b""
    return first & 0x0F, apply_mask(payload, mask) if mask else payload


async def until_closed(stream: IOStream) -> list[tuple[int, bytes]]:
    """Every frame until the other end closes."""
    found = []
    with pytest.raises(StreamClosedError):  # noqa: PT012 - wherever it ends
        while True:
            found.append(await read_frame(stream))
    return found


async def answer_pings(stream: IOStream, is_page: bool) -> None:
    """Be there, as a browser or a gateway that has nothing to say."""
    while True:
        opcode, payload = await read_frame(stream)
        assert opcode == PING
        await stream.write(encode_frame(PONG, payload, to_gateway=is_page))


def code_of(payload: bytes) -> int:
    return int.from_bytes(payload[:2], "big")


@pytest.mark.parametrize("tls", [False, True])
def test_every_byte_passes_as_it_is(tls: bool) -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        for size in (1, 255, BUFFER_SIZE - 1, BUFFER_SIZE, BUFFER_SIZE + 1, 5_000_000):
            payload = os.urandom(size)
            for source, sink in ((page, kernel), (kernel, page)):
                data = encode_frame(TEXT, payload, to_gateway=source is page)
                writing = asyncio.ensure_future(source.write(data))
                received = await sink.read_bytes(len(data))
                await writing
                assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()
        assert relay.from_browser.bytes > relay.from_gateway.bytes > 5_000_000
        assert relay.from_browser.frames == relay.from_gateway.frames == 6

    relaying(test, tls=tls)


def test_records_of_tls_are_passed_on_as_they_come_and_none_is_lost_at_the_end() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        sent = [encode_frame(BINARY, os.urandom(200)) for _ in range(2000)]
        for record in sent:
            await kernel.write(record)
        kernel.close()
        assert await page.read_bytes(sum(map(len, sent))) == b"".join(sent)
        assert [opcode for opcode, _ in await until_closed(page)] == [CLOSE]

    relaying(test, tls=True)


def test_small_messages_in_a_burst_are_coalesced_and_none_is_lost() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        reads = 0
        should_wait = relay._coalescer.should_wait

        def counted(size: int) -> bool:
            nonlocal reads
            reads += 1
            return should_wait(size)

        relay._coalescer.should_wait = counted  # type: ignore[method-assign]
        sent = [encode_frame(BINARY, os.urandom(200)) for _ in range(3000)]

        async def send() -> None:
            for message in sent:
                await kernel.write(message)
                await asyncio.sleep(0)  # the relay's turn: it would read each message by itself

        sending = asyncio.ensure_future(send())
        assert await page.read_bytes(sum(map(len, sent))) == b"".join(sent)
        await sending
        assert reads < len(sent) / 4

    relaying(test)


@pytest.mark.parametrize("end", ["page", "kernel"])
def test_when_one_end_closes_so_does_the_other(end: str) -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        first, second = (page, kernel) if end == "page" else (kernel, page)
        first.close()
        frames = await until_closed(second)
        assert relay.close_reason is not None
        assert relay.close_reason.by == ("browser" if end == "page" else "gateway")
        if end == "kernel":  # a code after which JupyterLab connects again
            assert [(opcode, code_of(payload)) for opcode, payload in frames] == [(CLOSE, 1014)]

    relaying(test)


@pytest.mark.parametrize("code", [1000, 1001, None])
def test_a_gateways_goodbye_does_not_keep_the_page_from_coming_back(code: int | None) -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        last = encode_frame(TEXT, b"last words")
        goodbye = encode_close_frame(code, "bye") if code else encode_frame(CLOSE, b"")
        await kernel.write(last + goodbye)
        said, close = await until_closed(page)
        assert said == (TEXT, b"last words")
        assert (close[0], code_of(close[1])) == (CLOSE, 1014)

    relaying(test)


def test_a_gateways_complaint_is_passed_on() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        await kernel.write(encode_close_frame(1009, "message too big"))
        [close] = await until_closed(page)
        assert (close[0], code_of(close[1])) == (CLOSE, 1009)
        assert relay.close_reason is not None
        assert relay.close_reason.kind == "too_large"

    relaying(test)


def test_a_page_says_goodbye_as_it_likes() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        await page.write(encode_frame(CLOSE, b"\x03\xe8", to_gateway=True))
        assert await read_frame(kernel) == (CLOSE, b"\x03\xe8")
        await kernel.write(encode_frame(CLOSE, b"\x03\xe8"))
        kernel.close()
        assert await until_closed(page) == [(CLOSE, b"\x03\xe8")]
        assert relay.close_reason is not None
        assert relay.close_reason.kind == "left"

    relaying(test)


def test_nothing_is_put_into_a_frame() -> None:
    """A gateway that goes in the middle of a frame leaves no room for a goodbye."""

    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        half = encode_frame(BINARY, b"x" * 1000)[:500]
        await kernel.write(half)
        assert await page.read_bytes(500) == half
        relay.browser.inject([b"a ping"], relay._frames.between_messages)
        kernel.close()
        with pytest.raises(StreamClosedError):
            await page.read_bytes(1)

    relaying(test)


def test_pings_go_out_between_frames_and_pongs_stay_here() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        peers = [
            asyncio.create_task(answer_pings(page, True)),
            asyncio.create_task(answer_pings(kernel, False)),
        ]
        while relay.browser.round_trip is None or relay.gateway.round_trip is None:
            await asyncio.sleep(0)
        for peer in peers:
            assert not peer.done()  # nothing but pings has come: no pong of the other side
            peer.cancel()

    relaying(test, link_timeout=1)


def test_pings_of_the_ends_themselves_pass() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        await kernel.write(encode_frame(PING, b"gateway's"))
        assert await read_frame(page) == (PING, b"gateway's")
        await page.write(encode_frame(PONG, b"gateway's", to_gateway=True))
        assert await read_frame(kernel) == (PONG, b"gateway's")

    relaying(test)


@pytest.mark.parametrize("silent", ["browser", "gateway"])
def test_an_end_that_answers_no_ping_is_given_up(silent: str) -> None:
    """Its TCP lives, as it does behind an intermediary: only the pong is missing."""

    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        ends = {"browser": page, "gateway": kernel}
        dead = ends.pop(silent)
        [alive] = ends.values()
        answering = asyncio.create_task(answer_pings(alive, alive is page))
        await until_closed(dead)
        assert relay.close_reason is not None
        assert (relay.close_reason.by, relay.close_reason.kind) == (silent, "silent")
        with pytest.raises((StreamClosedError, AssertionError)):
            await answering

    relaying(test, link_timeout=1)


class Asked:
    """Whether the gateway answers in another way, and how often that was asked."""

    def __init__(self) -> None:
        self.answers, self.count = False, 0

    async def __call__(self) -> bool:
        self.count += 1
        return self.answers


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_a_gateway_that_stands_still_is_waited_for() -> None:
    """What is on its way would be lost with the connection; what is typed meanwhile is held."""
    asked = Asked()
    typed = encode_frame(BINARY, request(5), to_gateway=True)

    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        present = asyncio.create_task(answer_pings(page, True))
        await until(lambda: asked.count > 2)
        assert relay.silence is not None
        await page.write(typed)
        await until(lambda: relay.unsent == typed)
        answering = asyncio.create_task(answer_pings(kernel, False))
        with pytest.raises(AssertionError):  # the message comes after the pings
            await answering
        assert (relay.silence, relay.unsent, relay.close_reason) == (None, b"", None)
        present.cancel()

    relaying(test, link_timeout=1, gateway_answers=asked)


def test_a_connection_on_which_a_gateway_is_silent_that_answers_is_given_up() -> None:
    asked = Asked()
    typed = [encode_frame(BINARY, request(code), to_gateway=True) for code in (1, 2)]

    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        present = asyncio.create_task(answer_pings(page, True))
        await until(lambda: asked.count)
        await page.write(typed[0] + typed[1][:20])  # a part of a message is nothing to send later
        await until(lambda: relay.from_browser.bytes >= len(typed[0]) + 20)
        asked.answers = True
        with pytest.raises((StreamClosedError, AssertionError)):
            await present
        assert relay.close_reason is not None
        assert (relay.close_reason.by, relay.close_reason.kind) == ("gateway", "silent")
        assert relay.unsent == typed[0]

    relaying(test, link_timeout=1, gateway_answers=asked)


def test_a_page_that_has_much_to_read_is_not_given_up() -> None:
    """A tab that is busy with a large output answers no ping before it has read it."""

    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        output = encode_frame(BINARY, b"x" * 30_000_000)
        writing = asyncio.ensure_future(kernel.write(output))
        ticks = asyncio.get_running_loop().time() + 3  # of a timeout of one second
        while asyncio.get_running_loop().time() < ticks:
            await asyncio.sleep(0.1)
            assert relay.close_reason is None
        assert (await page.read_bytes(len(output))) == output
        await writing

    relaying(test, link_timeout=1)


def test_a_page_with_something_to_read_gets_more_time() -> None:
    """Less than the sockets hold, so that the relay itself does not see that it is not read."""

    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        reading = asyncio.create_task(answer_pings(kernel, False))
        output = encode_frame(BINARY, b"x" * 200_000)
        await kernel.write(output)
        while relay.browser.ping_sent_at is None:
            await asyncio.sleep(0)
        ticks = asyncio.get_running_loop().time() + 2  # of a timeout of one second
        while asyncio.get_running_loop().time() < ticks:
            await asyncio.sleep(0.1)
            assert relay.close_reason is None
        assert await page.read_bytes(len(output)) == output
        reading.cancel()

    relaying(test, link_timeout=1)


def test_a_message_that_is_kept_back_is_answered_between_others() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        first = encode_frame(BINARY, b"x" * 1000)
        await kernel.write(first[:500])
        assert await page.read_bytes(500) == first[:500]
        await page.write(encode_frame(BINARY, request(10_000_000), to_gateway=True))
        await page.write(encode_frame(TEXT, b"next", to_gateway=True))
        assert await read_frame(kernel) == (TEXT, b"next")
        await kernel.write(first[500:])
        assert await page.read_bytes(504) == first[500:]
        kinds = [(await read_frame(page))[0] for _ in range(4)]
        assert kinds == [BINARY] * 4

    relaying(test)


def test_what_no_browser_sends_ends_the_connection_with_a_reason() -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        await page.write(encode_frame(TEXT, b"not masked"))
        [(opcode, payload)] = await until_closed(page)
        assert (opcode, code_of(payload)) == (CLOSE, 1002)
        assert b"not masked" in payload
        assert await until_closed(kernel) == []

    relaying(test)


@pytest.mark.parametrize(
    "attack",
    [
        b"\xff" * 100,  # reserved bits
        bytes((0x82, 0xFF)) + b"\xff" * 8 + b"mask",  # masked, and of an impossible length
        bytes((0x89, 126)) + b"\xff\xff",  # a long ping
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_what_no_gateway_sends_ends_the_connection(attack: bytes) -> None:
    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        await kernel.write(encode_frame(TEXT, b"good"))
        assert await read_frame(page) == (TEXT, b"good")
        await kernel.write(attack)
        [(opcode, payload)] = await until_closed(page)
        assert (opcode, code_of(payload)) == (CLOSE, 1014)
        assert relay.close_reason is not None
        assert (relay.close_reason.by, relay.close_reason.kind) == ("gateway", "bad_frames")

    relaying(test)


def test_a_slow_reader_slows_the_sender_down() -> None:
    """With a reader that does not read, the sender gets rid of a few socket buffers, no more."""
    amount = 300_000_000

    async def test(relay: Relay, page: IOStream, kernel: IOStream) -> None:
        sent = 0
        block = encode_frame(BINARY, b"x" * 1_000_000)
        while sent < amount:
            try:
                await asyncio.wait_for(asyncio.shield(kernel.write(block)), 1)
            except asyncio.TimeoutError:
                break
            sent += len(block)
        assert sent < 60_000_000
        assert relay.browser.stream._write_buffer is not None
        assert len(relay.browser.stream._write_buffer) <= 2 * BUFFER_SIZE
        received = 0
        while received < sent:
            received += len(await page.read_bytes(BUFFER_SIZE, partial=True))

    relaying(test)


def test_sockets_are_tuned() -> None:
    async def test() -> None:
        near, far = await connected()
        tune(near.socket, 15)
        assert near.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert near.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert unacknowledged_for(near.socket) == 0
        near.close()
        far.close()
        left, right = socket.socketpair()
        tune(left, 15)  # a UNIX socket has nothing to tune, and does not fail
        assert unacknowledged_for(left) == 0
        left.close()
        right.close()
        tune(None, 15)

    asyncio.run(test())
