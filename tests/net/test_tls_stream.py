"""TLS towards a gateway: many records at a time, and no less careful than tornado's own."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl

import pytest
import trustme
from tornado.iostream import IOStream, StreamClosedError

from notebook_remote.net.tls_stream import start_tls

from ..support.streams import connected

LIMIT = 65_536


def test_all_records_that_are_here_are_read_at_once() -> None:
    async def test() -> None:
        near, far = await connected(tls=True)
        for _ in range(100):
            far.write(b"x" * 200)
        assert len(await near.read_bytes(LIMIT, partial=True)) == 20_000
        near.close()
        far.close()

    asyncio.run(test())


def test_records_that_do_not_fit_are_read_next_and_none_is_lost_at_the_end() -> None:
    async def test() -> None:
        near, far = await connected(tls=True)
        sent = os.urandom(500_000)
        for place in range(0, len(sent), 3001):
            far.write(sent[place : place + 3001])
        far.write(b"").add_done_callback(lambda _: far.close())
        received = b""
        with pytest.raises(StreamClosedError):  # noqa: PT012 - wherever it ends
            while True:
                received += await near.read_bytes(LIMIT, partial=True)
        assert received == sent

    asyncio.run(test())


def test_another_hosts_certificate_is_refused() -> None:
    async def test() -> None:
        authority = trustme.CA()
        server, client = (
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
            ssl.create_default_context(),
        )
        authority.issue_cert("elsewhere").configure_cert(server)
        authority.configure_trust(client)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = IOStream(socket.create_connection(listener.getsockname()))
            far = IOStream(listener.accept()[0])
        answering = asyncio.ensure_future(far.start_tls(True, server))
        with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
            await start_tls(near, client, "localhost")
        with pytest.raises((ssl.SSLError, StreamClosedError)):
            await answering  # we have told it, and hung up

    asyncio.run(test())


def test_who_gives_up_waiting_for_the_handshake_hangs_up() -> None:
    async def test() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = IOStream(socket.create_connection(listener.getsockname()))
            far = IOStream(listener.accept()[0])
        starting = asyncio.ensure_future(start_tls(near, ssl.create_default_context(), "localhost"))
        hello = await far.read_bytes(LIMIT, partial=True)
        assert hello[:1] == b"\x16"  # a handshake
        starting.cancel()
        with pytest.raises(StreamClosedError):
            await far.read_bytes(1)
        far.close()

    asyncio.run(test())
