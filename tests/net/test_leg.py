"""One leg on its own: injected frames and pings; dead peers are in test_relay.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tornado.iostream import IOStream

from notebook_remote.net.frames import PING, PONG, ControlFrame, ServerFrameScanner, encode_frame
from notebook_remote.net.leg import LARGE_BACKLOG, Leg

from ..support.streams import connected


@asynccontextmanager
async def new_leg(is_gateway: bool) -> AsyncIterator[tuple[Leg, IOStream]]:
    """A leg, and the stream of its peer."""
    stream, peer = await connected()
    yield Leg(stream, is_gateway), peer
    stream.close()
    peer.close()


def test_frames_are_injected_at_a_boundary_only() -> None:
    async def test() -> None:
        async with new_leg(is_gateway=False) as (leg, peer):
            await leg.write(b"half of a message,")
            leg.inject([encode_frame(PONG, b"")], at_boundary=False)
            await leg.write(b" and the other half")
            leg.flush()
            await leg.wait_flushed()
            expected = b"half of a message, and the other half" + encode_frame(PONG, b"")
            assert await peer.read_bytes(len(expected)) == expected

    asyncio.run(test())


def test_the_answer_to_a_ping_gives_the_round_trip() -> None:
    async def test() -> None:
        async with new_leg(is_gateway=False) as (leg, peer):
            leg.ping(at_boundary=True)
            assert leg.ping_sent_at is not None
            [ping] = ServerFrameScanner().feed(await peer.read_bytes(100, partial=True))
            assert isinstance(ping, ControlFrame)
            assert ping.opcode == PING
            assert not leg.is_pong(b"of another ping")
            assert leg.is_pong(ping.payload)
            assert leg.ping_sent_at is None
            assert leg.round_trip is not None

    asyncio.run(test())


def test_much_data_before_the_answer_makes_a_ping_meaningless() -> None:
    async def test() -> None:
        async with new_leg(is_gateway=True) as (leg, _):
            leg.ping(at_boundary=True)
            leg.note_received(LARGE_BACKLOG)
            assert leg.ping_sent_at is not None
            leg.note_received(1)
            assert leg.ping_sent_at is None

    asyncio.run(test())
