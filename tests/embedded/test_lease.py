"""A notebook server and an embedded gateway prove that they know its token, without sending it."""

from __future__ import annotations

import pytest

from notebook_remote.embedded.lease import AuthenticationFailed, Peer, parse_message


def test_who_knows_the_token_is_known() -> None:
    server, gateway = Peer("t", 8888, is_gateway=False), Peer("t", 8888, is_gateway=True)
    server.check(gateway.prove(server.nonce), gateway.nonce)
    gateway.check(server.prove(gateway.nonce), server.nonce)


@pytest.mark.parametrize(
    "stranger",
    [
        Peer("another", 8888, is_gateway=True),
        Peer("t", 9999, is_gateway=True),  # passes on what the gateway says at another port
        Peer("t", 8888, is_gateway=False),  # another server, asked by the stranger
    ],
)
def test_who_does_not_is_not(stranger: Peer) -> None:
    server = Peer("t", 8888, is_gateway=False)
    with pytest.raises(AuthenticationFailed):
        server.check(stranger.prove(server.nonce), stranger.nonce)


def test_a_proof_is_good_for_one_connection() -> None:
    server, gateway = Peer("t", 8888, is_gateway=False), Peer("t", 8888, is_gateway=True)
    old = gateway.prove(server.nonce)
    with pytest.raises(AuthenticationFailed):
        Peer("t", 8888, is_gateway=False).check(old, gateway.nonce)
    with pytest.raises(AuthenticationFailed):
        server.check(None, gateway.nonce)


@pytest.mark.parametrize("proof", ["", "\ud800", "é", 1, None, []])
def test_what_is_no_proof(proof: object) -> None:
    with pytest.raises(AuthenticationFailed):
        Peer("t", 8888, is_gateway=False).check(proof, "1")


@pytest.mark.parametrize("text", [None, b"", "[]", "{", '"x"', b"\xff", "[" * 200_000])
def test_what_is_no_message(text: object) -> None:
    with pytest.raises(AuthenticationFailed):
        parse_message(text)
