"""Hostile bytes from a page through the relay, in front of real gateways.

Nothing of it may disturb anyone else: another user's kernel on the same gateway goes on, the
gateway's memory stays what it was, and the notebook server runs on without a traceback. What a
hostile gateway may send is in test_relay.py.
"""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator

import psutil
import pytest

from notebook_remote.net.frames import BINARY, PING, PONG, TEXT, encode_frame

from ..support.frames import ABSURD, BAD, fragments, old_table, q, request
from ..support.servers import PATIENCE, V1, Channels, Server
from ..support.shared_servers import KINDS

GROWTH = 100_000_000  # bytes; the frames of facts 20 cost a stock gateway gigabytes
ROUNDS = 150


class RawPage:
    """A page's connection after its handshake, on which anything at all can be sent."""

    def __init__(self, server: Server, kernel_id: str, *subprotocols: str) -> None:
        self.channels = Channels(server, kernel_id, subprotocols=subprotocols)
        self.socket: socket.socket = self.channels.ws.sock

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # it may have been closed already: that is an answer
            self.socket.sendall(data)

    def ends(self) -> None:
        """Wait until the other side has closed the connection."""
        self.socket.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(65536):
                pass

    def close(self) -> None:
        self.socket.close()
        self.channels.ws.shutdown()


def answers(channels: Channels) -> bool:
    """Whether somebody else's kernel still answers."""
    return channels.run("6 * 7") == "42"


def memory(server: Server) -> int:
    return int(psutil.Process(server.pid).memory_info().rss)


@contextlib.contextmanager
def undisturbed(notebook: Server, gateway: Server) -> Iterator[None]:
    """Around an attack: somebody else works on the same gateway, before and after."""
    with gateway.kernel(name="python3") as others, gateway.channels(others) as channels:
        assert answers(channels)
        before, log = memory(gateway), len(notebook.log)
        yield
        assert answers(channels)
        assert memory(gateway) < before + GROWTH
        assert "Traceback" not in notebook.log[log:]
        assert gateway.get("/api").status_code == 200


@pytest.fixture(params=KINDS[:2])
def kind(request: pytest.FixtureRequest) -> str:
    """Not Enterprise Gateway, which has the Kernel Gateway's code for this and starts slowly."""
    return str(request.param)


def test_absurd_tables_and_bad_frames(notebook: Server, gateway: Server) -> None:
    attacks = [*BAD.values()]
    attacks += [encode_frame(BINARY, payload, to_gateway=True) for payload in ABSURD.values()]
    attacks += [
        fragments(BINARY, payload[:9], payload[9:], to_gateway=True) for payload in ABSURD.values()
    ]
    with undisturbed(notebook, gateway), notebook.kernel() as kernel_id:
        for attack in attacks:
            page = RawPage(notebook, kernel_id, V1)
            page.send(attack)
            page.ends()
            page.close()
        with notebook.channels(kernel_id) as channels:
            assert answers(channels)


def test_absurd_tables_of_the_older_protocol(notebook: Server, gateway: Server) -> None:
    with undisturbed(notebook, gateway), notebook.kernel() as kernel_id:
        for payload in (b"\x7f\xff\xff\xff" + b"x" * 64, old_table(4, 2**31), old_table(), b"xy"):
            page = RawPage(notebook, kernel_id)
            page.send(encode_frame(BINARY, payload, to_gateway=True))
            page.ends()
            page.close()


def test_well_formed_nonsense(notebook: Server, gateway: Server) -> None:
    """It passes, because it is the ends' business, and the gateway must live with it."""
    nonsense = [
        encode_frame(TEXT, b"\xff\xfe not UTF-8", to_gateway=True),
        encode_frame(TEXT, b"not JSON", to_gateway=True),
        encode_frame(TEXT, b"[" * 5000, to_gateway=True),
        encode_frame(BINARY, request(100)[:-1] + b"\xff", to_gateway=True),
        encode_frame(BINARY, q(2, 24, 24), to_gateway=True),
        encode_frame(PING, b"\x00" * 125, to_gateway=True)
        + encode_frame(PONG, b"never asked", to_gateway=True),
        fragments(TEXT, *[b"x"] * 500, to_gateway=True),
    ]
    with undisturbed(notebook, gateway), notebook.kernel() as kernel_id:
        for data in nonsense:
            for subprotocols in ([V1], []):
                page = RawPage(notebook, kernel_id, *subprotocols)
                page.send(data)
                page.close()
        with notebook.channels(kernel_id) as channels:
            assert answers(channels)


def test_random_bytes_and_mutations(notebook: Server, gateway: Server) -> None:
    """A good message with some bytes changed, cut anywhere, sent in odd pieces."""
    chance = random.Random(7)
    good = encode_frame(BINARY, request(300), to_gateway=True)
    with undisturbed(notebook, gateway), notebook.kernel() as kernel_id:
        for _ in range(ROUNDS // 3):
            page = RawPage(notebook, kernel_id, V1)
            for _ in range(3):
                data = bytearray(good)
                for _ in range(chance.randint(1, 6)):
                    data[chance.randrange(60)] = chance.randrange(256)
                cut = chance.choice((len(data), chance.randrange(len(data))))
                page.send(bytes(data[:cut]))
                page.send(chance.randbytes(chance.choice((0, 1, 50))))
            page.close()
        with notebook.channels(kernel_id) as channels:
            assert answers(channels)
