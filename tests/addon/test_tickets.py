"""Tickets and their signatures: what a ticket opens, and every way to forge one."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from notebook_remote_gateway import signing, validation
from notebook_remote_gateway.exceptions import CredentialRejected
from notebook_remote_gateway.tickets import MIN_PURGE_SIZE, ExpiringDict, Identity, TicketManager

KEY = b"k" * 32
KERNEL = "11111111-2222-3333-4444-555555555555"
ORIGIN = "https://notebook.example:8443"
SESSION = "5e55-10n"
ADA = Identity("ada", object())


@pytest.fixture
def tickets() -> TicketManager:
    return TicketManager(KEY, 45)


def mint(tickets: TicketManager) -> str:
    return tickets.mint(KERNEL, ORIGIN, SESSION, ADA)


def reason(tickets: TicketManager, ticket: str, **other: Any) -> str:
    """Why a ticket is rejected, or an empty string."""
    place = {"kernel_id": KERNEL, "origin": ORIGIN, "session_id": SESSION, **other}
    try:
        tickets.redeem(ticket, **place)
    except CredentialRejected as rejection:
        return rejection.reason
    return ""


def forged(key: bytes = KEY, algorithm: str = "HS256", typ: str = "nr-ticket+jwt", **c: Any) -> str:
    """A valid ticket except for the arguments; a claim that is None is omitted."""
    now = int(time.time())
    claims = {
        "iss": "notebook-remote-gateway",
        "aud": "ticket",
        "iat": now,
        "exp": now + 45,
        "jti": "an-id",
        "sub": "ada",
        "kernel": KERNEL,
        "origin": ORIGIN,
        "session": SESSION,
        **c,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    if algorithm == "none":
        return unsigned({"alg": "none", "typ": typ}, present)
    return jwt.encode(present, key, algorithm, headers={"typ": typ})


def unsigned(header: Any, claims: Any, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def test_a_ticket_opens_what_it_was_made_for_once(tickets: TicketManager) -> None:
    ticket = mint(tickets)
    assert tickets.redeem(ticket, KERNEL, ORIGIN, SESSION) == ADA
    assert reason(tickets, ticket) == "reused"
    assert reason(tickets, mint(tickets)) == ""


def test_a_forgery_with_the_right_key_is_accepted(tickets: TicketManager) -> None:
    """So each of the forgeries below is rejected for the one claim that is wrong."""
    assert reason(tickets, forged()) == ""


@pytest.mark.parametrize(
    ("expected", "other"),
    [
        ("wrong-kernel", {"kernel_id": "11111111-2222-3333-4444-666666666666"}),
        ("no-origin", {"origin": None}),
        ("wrong-origin", {"origin": "https://notebook.example"}),
        ("wrong-origin", {"origin": "http://notebook.example:8443"}),
        ("wrong-origin", {"origin": "https://evil.example"}),
        ("wrong-origin", {"origin": f"{ORIGIN},{ORIGIN}"}),
        ("wrong-origin", {"origin": ORIGIN.upper()}),
        ("wrong-origin", {"origin": "null"}),
        ("wrong-origin", {"origin": ""}),
        ("wrong-session", {"session_id": "another"}),
        ("wrong-session", {"session_id": ""}),
        ("wrong-session", {"session_id": None}),
    ],
)
def test_a_ticket_is_rejected_elsewhere_without_being_used_up(
    tickets: TicketManager, expected: str, other: dict[str, Any]
) -> None:
    ticket = mint(tickets)
    assert reason(tickets, ticket, **other) == expected
    assert reason(tickets, ticket) == ""


def test_a_ticket_expires() -> None:
    expired = TicketManager(KEY, 45, clock=lambda: time.time() - 46)
    recent = TicketManager(KEY, 45, clock=lambda: time.time() - 40)
    assert reason(TicketManager(KEY, 45), mint(expired)) == "expired"
    assert reason(TicketManager(KEY, 45), mint(recent)) == ""


def test_another_replica_redeems_a_ticket_with_the_same_key_only(tickets: TicketManager) -> None:
    ticket = mint(tickets)
    assert reason(TicketManager(b"x" * 32, 45), ticket) == "bad-signature"
    assert TicketManager(KEY, 45).redeem(ticket, KERNEL, ORIGIN, SESSION) == Identity("ada", None)


@pytest.mark.parametrize(
    ("expected", "ticket"),
    [
        ("bad-signature", {"key": b"x" * 32}),
        ("bad-algorithm", {"algorithm": "none"}),
        ("bad-algorithm", {"algorithm": "HS512", "key": KEY * 2}),
        ("bad-algorithm", unsigned({"alg": "None", "typ": "nr-ticket+jwt"}, {})),
        ("bad-algorithm", unsigned({"alg": "RS256", "typ": "nr-ticket+jwt"}, {}, b"x")),
        ("wrong-type", {"typ": "JWT"}),
        ("wrong-type", {"typ": "nr-pass+jwt"}),
        ("wrong-type", {"aud": "pass"}),
        ("wrong-type", {"iss": "somebody"}),
        ("expired", {"exp": 1}),
        *[
            ("malformed", {claim: None})
            for claim in ("iss", "aud", "iat", "exp", "jti", "sub", "kernel", "origin", "session")
        ],
        ("malformed", {"kernel": [KERNEL]}),
        ("malformed", {"exp": "soon"}),
        ("malformed", unsigned([], {})),
        ("bad-signature", unsigned({"alg": "HS256"}, [])),
        ("malformed", ""),
        ("malformed", "."),
        ("malformed", ".."),
        ("malformed", "a.b.c"),
        ("malformed", "\ud800.\ud800.x"),
        ("malformed", base64.urlsafe_b64encode(b"[" * 2900).decode() + ".e30.x"),
        ("too-long", "x" * 4097),
        ("too-long", {"session": "s" * 4000}),
    ],
)
def test_forged_and_malformed_tickets(
    tickets: TicketManager, expected: str, ticket: str | dict[str, Any]
) -> None:
    assert reason(tickets, ticket if isinstance(ticket, str) else forged(**ticket)) == expected


def test_every_changed_character_is_noticed(tickets: TicketManager) -> None:
    ticket = mint(tickets)
    for at in range(len(ticket)):
        changed = ticket[:at] + ("A" if ticket[at] != "A" else "Q") + ticket[at + 1 :]
        assert reason(tickets, changed) in ("bad-signature", "bad-algorithm", "malformed"), at
    assert reason(tickets, ticket) == ""


def test_our_longest_ticket_is_not_too_long(tickets: TicketManager) -> None:
    origin, session = "https://" + "o" * 254 + ":65535", "s" * 128
    assert validation.is_origin(origin)
    ticket = tickets.mint("k" * 36, origin, session, Identity("\N{GREEK SMALL LETTER ALPHA}" * 128))
    assert len(ticket) < signing.MAX_LENGTH
    assert reason(tickets, ticket, kernel_id="k" * 36, origin=origin, session_id=session) == ""


def test_expired_entries_are_removed() -> None:
    now = 1000.0
    entries = ExpiringDict(lambda: now)
    for number in range(10 * MIN_PURGE_SIZE):
        entries.put(str(number), True, expires_at=now + 45)
        assert str(max(0, number - 44)) in entries
        now += 1
    assert len(entries) <= MIN_PURGE_SIZE + 1
