"""A notebook server and an embedded gateway prove that they know its token, without sending it."""

from __future__ import annotations

import pytest

from notebook_remote.embedded.lease import NotProven, Side, message


def test_who_knows_the_token_is_known() -> None:
    server, gateway = Side("t", 8888, is_gateway=False), Side("t", 8888, is_gateway=True)
    server.check(gateway.prove(server.nonce), gateway.nonce)
    gateway.check(server.prove(gateway.nonce), server.nonce)


@pytest.mark.parametrize(
    "stranger",
    [
        Side("another", 8888, is_gateway=True),
        Side("t", 9999, is_gateway=True),  # passes on what the gateway says at another port
        Side("t", 8888, is_gateway=False),  # another server, asked by the stranger
    ],
)
def test_who_does_not_is_not(stranger: Side) -> None:
    server = Side("t", 8888, is_gateway=False)
    with pytest.raises(NotProven):
        server.check(stranger.prove(server.nonce), stranger.nonce)


def test_a_proof_is_good_for_one_connection() -> None:
    server, gateway = Side("t", 8888, is_gateway=False), Side("t", 8888, is_gateway=True)
    old = gateway.prove(server.nonce)
    with pytest.raises(NotProven):
        Side("t", 8888, is_gateway=False).check(old, gateway.nonce)
    with pytest.raises(NotProven):
        server.check(None, gateway.nonce)


@pytest.mark.parametrize("proof", ["", "\ud800", "é", 1, None, []])
def test_what_is_no_proof(proof: object) -> None:
    with pytest.raises(NotProven):
        Side("t", 8888, is_gateway=False).check(proof, "1")


@pytest.mark.parametrize("text", [None, b"", "[]", "{", '"x"', b"\xff", "[" * 200_000])
def test_what_is_no_message(text: object) -> None:
    with pytest.raises(NotProven):
        message(text)
