"""The add-on's logic: what is sealed, redeemed, limited, checked and set; no gateway is needed."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from notebook_remote_gateway import messages, signing, validation
from notebook_remote_gateway.exceptions import CredentialRejected, SettingsError
from notebook_remote_gateway.passes import PassManager
from notebook_remote_gateway.rate_limit import TokenBucket
from notebook_remote_gateway.settings import Settings
from notebook_remote_gateway.tickets import MIN_PURGE_SIZE, ExpiringDict, Identity, TicketManager

KEY = b"k" * 32
KERNEL = "11111111-2222-3333-4444-555555555555"
ORIGIN = "https://notebook.example:8443"
SESSION = "5e55-10n"
ADA = Identity("ada", object())


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def office() -> TicketManager:
    return TicketManager(KEY, 45)


def mint(office: TicketManager) -> str:
    return office.mint(KERNEL, ORIGIN, SESSION, ADA)


def reason(office: TicketManager, ticket: str, **other: Any) -> str:
    """Why a ticket is refused, or an empty string."""
    place = {"kernel_id": KERNEL, "origin": ORIGIN, "session_id": SESSION, **other}
    try:
        office.redeem(ticket, **place)
    except CredentialRejected as refused:
        return refused.reason
    return ""


def forged(key: bytes = KEY, algorithm: str = "HS256", typ: str = "nr-ticket+jwt", **c: Any) -> str:
    """A ticket as we make them, but for what is given; a claim that is None is left out."""
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
    kept = {name: value for name, value in claims.items() if value is not None}
    if algorithm == "none":
        return unsigned({"alg": "none", "typ": typ}, kept)
    return jwt.encode(kept, key, algorithm, headers={"typ": typ})


def unsigned(header: Any, claims: Any, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


# -- what a ticket opens -------------------------------------------------------------------------


def test_a_ticket_opens_what_it_was_made_for_once(office: TicketManager) -> None:
    ticket = mint(office)
    holder = office.redeem(ticket, KERNEL, ORIGIN, SESSION)
    assert holder == ADA
    assert reason(office, ticket) == "reused"
    assert reason(office, mint(office)) == ""


def test_a_forgery_with_the_key_would_work_so_the_others_fail_for_their_own_reason(
    office: TicketManager,
) -> None:
    assert reason(office, forged()) == ""


@pytest.mark.parametrize(
    ("why", "other"),
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
def test_it_opens_nothing_else_and_is_not_used_up_by_that(
    office: TicketManager, why: str, other: dict[str, Any]
) -> None:
    ticket = mint(office)
    assert reason(office, ticket, **other) == why
    assert reason(office, ticket) == ""


def test_it_expires() -> None:
    made_before = TicketManager(KEY, 45, clock=Clock(time.time() - 46))
    made_lately = TicketManager(KEY, 45, clock=Clock(time.time() - 40))
    assert reason(TicketManager(KEY, 45), mint(made_before)) == "expired"
    assert reason(TicketManager(KEY, 45), mint(made_lately)) == ""


def test_another_replica_redeems_it_with_the_same_key_only(office: TicketManager) -> None:
    ticket = mint(office)
    assert reason(TicketManager(b"x" * 32, 45), ticket) == "bad-signature"
    assert TicketManager(KEY, 45).redeem(ticket, KERNEL, ORIGIN, SESSION) == Identity("ada", None)


@pytest.mark.parametrize(
    ("why", "ticket"),
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
def test_forgeries_and_rubbish(
    office: TicketManager, why: str, ticket: str | dict[str, Any]
) -> None:
    assert reason(office, ticket if isinstance(ticket, str) else forged(**ticket)) == why


def test_every_changed_character_is_noticed(office: TicketManager) -> None:
    ticket = mint(office)
    for at in range(len(ticket)):
        changed = ticket[:at] + ("A" if ticket[at] != "A" else "Q") + ticket[at + 1 :]
        assert reason(office, changed) in ("bad-signature", "bad-algorithm", "malformed"), at
    assert reason(office, ticket) == ""


def test_our_longest_ticket_is_not_too_long(office: TicketManager) -> None:
    origin, session = "https://" + "o" * 254 + ":65535", "s" * 128
    assert validation.is_origin(origin)
    ticket = office.mint("k" * 36, origin, session, Identity("\N{GREEK SMALL LETTER ALPHA}" * 128))
    assert len(ticket) < signing.MAX_LENGTH
    assert reason(office, ticket, kernel_id="k" * 36, origin=origin, session_id=session) == ""


def test_what_was_redeemed_is_remembered_until_it_has_expired_and_no_longer() -> None:
    clock = Clock(1000.0)
    entries = ExpiringDict(clock)
    for number in range(10 * MIN_PURGE_SIZE):
        entries.put(str(number), True, expires_at=clock.now + 45)
        assert str(max(0, number - 44)) in entries
        clock.now += 1
    assert len(entries) <= MIN_PURGE_SIZE + 1


# -- how many ------------------------------------------------------------------------------------


def test_a_bucket_has_some_at_once_and_then_some_a_second() -> None:
    clock = Clock(5.0)
    bucket = TokenBucket(2.0, 3.0, clock)
    assert [bucket.take() for _ in range(3)] == [0, 0, 0]
    assert bucket.take() == 0.5
    clock.now += 0.5
    assert bucket.take() == 0
    assert bucket.take() > 0
    clock.now += 1000
    assert [bucket.take() > 0 for _ in range(4)] == [False, False, False, True]


# -- what others write ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost:8888",
        "https://notebook.example",
        "https://xn--bcher-kva.example:1",
        "http://[::1]:8888",
        "http://127.0.0.1:65535",
        "https://notebook.example:80",
        "https://a_b.example",
    ],
)
def test_origins(origin: str) -> None:
    assert validation.is_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        None,
        1,
        ["https://a.example"],
        "",
        "*",
        "null",
        "https://",
        "https://A.example",
        "https://a.example/",
        "https://a.example/path",
        "https://a.example?x",
        "https://a.example#x",
        "https://u:p@a.example",
        "https://a.example:443",
        "http://a.example:80",
        "http://a.example:",
        "http://a.example:0",
        "http://a.example:080",
        "http://a.example:65536",
        "https://a.example\n",
        "https://a.example\r\nX: y",
        " https://a.example",
        "https://a.example,https://b.example",
        "https://b\u00fccher.example",
        "ws://a.example",
        "file:///",
        "https://" + "a" * 300,
    ],
)
def test_what_is_no_origin(origin: object) -> None:
    assert not validation.is_origin(origin)


@pytest.mark.parametrize("text", [None, 1, "", "a b", "a&b", "a\n", "\u00e4", "x" * 129])
def test_what_is_no_session_id(text: object) -> None:
    assert not validation.is_session_id(text)


def test_nothing_of_others_makes_a_new_line_in_the_log() -> None:
    assert validation.sanitize_for_log("a\r\nb c\x1b[1m\u2028\x85d") == "a??b?c?[1m??d"
    assert len(validation.sanitize_for_log("x" * 9999)) == 200
    assert validation.sanitize_for_log(None) == "-"


# -- messages ------------------------------------------------------------------------------------


def v1(*offsets: int, body: bytes = b"") -> bytes:
    return b"".join(n.to_bytes(8, "little") for n in (len(offsets), *offsets)) + body


def v0(*offsets: int, body: bytes = b"") -> bytes:
    return b"".join(n.to_bytes(4, "big") for n in (len(offsets), *offsets)) + body


def test_tables_as_pages_write_them() -> None:
    assert messages.find_fault(v1(24, 29, body=b"shell"), v1=True) is None
    assert messages.find_fault(v1(32, 37, 37, body=b"shell"), v1=True) is None
    assert messages.find_fault(v0(12, 14, body=b"{}x"), v1=False) is None
    assert messages.find_fault("{}", v1=False) is None


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"1234567",
        v1(),
        (2**64 - 1).to_bytes(8, "little"),
        (16_385).to_bytes(8, "little") + bytes(8 * 16_385),
        (3).to_bytes(8, "little") + bytes(8),
        v1(24, 30, body=b"shell"),
        v1(24, 2**63, body=b"shell"),
        v1(29, 24, body=b"shell"),
        v1(0, 29, body=b"shell"),
        "text",
    ],
)
def test_absurd_tables(message: str | bytes) -> None:
    assert messages.find_fault(message, v1=True)


@pytest.mark.parametrize(
    "message",
    [b"", b"123", v0(), b"\xff\xff\xff\xff", v0(12, 99, body=b"{}"), v0(14, 12, body=b"{}")],
)
def test_absurd_tables_of_the_older_protocol(message: bytes) -> None:
    assert messages.find_fault(message, v1=False)


# -- settings ------------------------------------------------------------------------------------


def test_the_key_is_random_unless_it_is_set() -> None:
    assert Settings.from_environment({}).key != Settings.from_environment({}).key
    assert len(Settings.from_environment({}).key) == 32
    assert "k" * 32 not in repr(Settings.from_environment({"NOTEBOOK_REMOTE_TICKET_KEY": "k" * 32}))


def test_kernels_do_not_inherit_the_key() -> None:
    environ = {"NOTEBOOK_REMOTE_TICKET_KEY": "k" * 32, "PATH": "/bin"}
    assert Settings.from_environment(environ).key == b"k" * 32
    assert environ == {"PATH": "/bin"}


def test_a_key_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"f" * 40 + b"\n")
    assert (
        Settings.from_environment({"NOTEBOOK_REMOTE_TICKET_KEY_FILE": str(file)}).key == b"f" * 40
    )


def test_the_other_settings() -> None:
    settings = Settings.from_environment(
        {
            "NOTEBOOK_REMOTE_TICKET_LIFETIME": "30",
            "NOTEBOOK_REMOTE_TICKET_RATE": "0.5",
            "NOTEBOOK_REMOTE_TICKET_BURST": "3",
        }
    )
    assert (settings.lifetime, settings.rate, settings.burst) == (30, 0.5, 3)


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"NOTEBOOK_REMOTE_TICKET_KEY": "short"}, "at least 32 are needed"),
        ({"NOTEBOOK_REMOTE_TICKET_KEY_FILE": "/no/such/file"}, "No such file"),
        (
            {
                "NOTEBOOK_REMOTE_TICKET_KEY": "k" * 32,
                "NOTEBOOK_REMOTE_TICKET_KEY_FILE": "/dev/null",
            },
            "set one of them",
        ),
        ({"NOTEBOOK_REMOTE_TICKET_KEY_FILE": "/dev/null"}, "0 bytes is too short"),
        ({"NOTEBOOK_REMOTE_TICKET_LIFETIME": "0"}, "not a number from 1 to 600"),
        ({"NOTEBOOK_REMOTE_TICKET_RATE": "fast"}, "not a number from"),
        ({"NOTEBOOK_REMOTE_TICKET_BURST": "nan"}, "not a number from"),
    ],
)
def test_what_cannot_be_meant_is_told(environ: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as error:
        Settings.from_environment(environ)
    assert "k" * 32 not in str(error.value)


# -- passes --------------------------------------------------------------------------------------


def test_a_pass_is_bound_to_its_origin_and_expires() -> None:
    office = PassManager(KEY, 3600)
    sealed = office.mint(ORIGIN, ADA)
    assert office.verify(sealed, ORIGIN).identity == ADA
    assert office.verify(sealed, ORIGIN) == office.verify(sealed, ORIGIN)
    for origin, why in ((None, "no-origin"), ("https://evil.example", "wrong-origin")):
        with pytest.raises(CredentialRejected, match=why):
            office.verify(sealed, origin)
    old = PassManager(KEY, 3600, clock=Clock(time.time() - 3601))
    with pytest.raises(CredentialRejected, match="expired"):
        office.verify(old.mint(ORIGIN, ADA), ORIGIN)


def test_a_ticket_is_no_pass_and_a_pass_is_no_ticket(office: TicketManager) -> None:
    passes = PassManager(KEY, 3600)
    with pytest.raises(CredentialRejected, match="wrong-type"):
        passes.verify(mint(office), ORIGIN)
    assert reason(office, passes.mint(ORIGIN, ADA)) == "wrong-type"


def test_a_kernel_belongs_to_the_pass_it_was_started_with() -> None:
    office = PassManager(KEY, 3600)
    one, other = (office.verify(office.mint(ORIGIN, ADA), ORIGIN) for _ in range(2))
    office.add_kernel(one, "k1", lambda kernel_id: True)
    office.add_kernel(other, "k2", lambda kernel_id: True)
    assert office.owns(one, "k1")
    assert not office.owns(other, "k1")
    assert not office.owns(one, "k3")
    assert office.kernel_ids(one) == ["k1"]
    office.add_kernel(one, "k4", lambda kernel_id: kernel_id != "k1")
    assert office.kernel_ids(one) == ["k4"]


@pytest.mark.parametrize(
    "origins", ["*", "https://a.example/", "a.example", "https://a.example:443"]
)
def test_what_is_no_allowed_origin_is_told(origins: str) -> None:
    with pytest.raises(SettingsError, match="is not an origin"):
        Settings.from_environment(
            {"NOTEBOOK_REMOTE_ALLOWED_ORIGINS": f"https://b.example,{origins}"}
        )
