"""Socket options of the relay's connections; dead peers are in test_relay.py."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from notebook_remote.net.tcp import quick_ack, tune, unacknowledged_for


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
    with client, accepted:
        yield client, accepted


def option(sock: socket.socket, level: int, name: int) -> int:
    return int(sock.getsockopt(level, name))


def test_keepalive_only_with_a_timeout(pair: tuple[socket.socket, socket.socket]) -> None:
    for sock, timeout in zip(pair, (None, 15.0), strict=True):
        tune(sock, timeout)
        assert option(sock, socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert bool(option(sock, socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is (timeout is not None)


def test_a_live_peer_has_acknowledged_everything(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    sender, receiver = pair
    sender.sendall(b"x")
    assert receiver.recv(1) == b"x"
    quick_ack(receiver)()
    assert unacknowledged_for(sender) == 0


def test_sockets_that_are_closed_or_not_tcp_are_ignored() -> None:
    closed = socket.socket()
    closed.close()
    for sock in (None, closed):
        tune(sock, 15.0)
        quick_ack(sock)()
        assert unacknowledged_for(sock) == 0
