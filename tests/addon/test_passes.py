"""Passes and the kernels that they own."""

from __future__ import annotations

import time

import pytest
from notebook_remote_gateway.exceptions import CredentialRejected
from notebook_remote_gateway.passes import PassManager
from notebook_remote_gateway.tickets import Identity, TicketManager

KEY = b"k" * 32
ORIGIN = "https://notebook.example:8443"
ADA = Identity("ada", object())


@pytest.fixture
def passes() -> PassManager:
    return PassManager(KEY, 3600)


def test_a_pass_is_bound_to_its_origin_and_expires(passes: PassManager) -> None:
    token = passes.mint(ORIGIN, ADA)
    assert passes.verify(token, ORIGIN).identity == ADA
    assert passes.verify(token, ORIGIN) == passes.verify(token, ORIGIN)
    for origin, reason in ((None, "no-origin"), ("https://evil.example", "wrong-origin")):
        with pytest.raises(CredentialRejected, match=reason):
            passes.verify(token, origin)
    an_hour_ago = PassManager(KEY, 3600, clock=lambda: time.time() - 3601)
    with pytest.raises(CredentialRejected, match="expired"):
        passes.verify(an_hour_ago.mint(ORIGIN, ADA), ORIGIN)


def test_tickets_and_passes_are_not_interchangeable(passes: PassManager) -> None:
    tickets = TicketManager(KEY, 45)
    with pytest.raises(CredentialRejected, match="wrong-type"):
        passes.verify(tickets.mint("kernel", ORIGIN, "session", ADA), ORIGIN)
    with pytest.raises(CredentialRejected, match="wrong-type"):
        tickets.redeem(passes.mint(ORIGIN, ADA), "kernel", ORIGIN, "session")


def test_a_kernel_belongs_to_the_pass_it_was_started_with(passes: PassManager) -> None:
    one, other = (passes.verify(passes.mint(ORIGIN, ADA), ORIGIN) for _ in range(2))
    passes.add_kernel(one, "k1", lambda kernel_id: True)
    passes.add_kernel(other, "k2", lambda kernel_id: True)
    assert passes.owns(one, "k1")
    assert not passes.owns(other, "k1")
    assert not passes.owns(one, "k3")
    assert passes.kernel_ids(one) == ["k1"]
    passes.add_kernel(one, "k4", lambda kernel_id: kernel_id != "k1")
    assert passes.kernel_ids(one) == ["k4"]
