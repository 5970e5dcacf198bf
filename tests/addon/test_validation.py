"""Validation of origins, session ids and text for the log."""

from __future__ import annotations

import pytest
from notebook_remote_gateway.validation import is_origin, is_session_id, sanitize_for_log


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
def test_valid_origins(origin: str) -> None:
    assert is_origin(origin)


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
def test_invalid_origins(origin: object) -> None:
    assert not is_origin(origin)


@pytest.mark.parametrize("text", [None, 1, "", "a b", "a&b", "a\n", "\u00e4", "x" * 129])
def test_invalid_session_ids(text: object) -> None:
    assert not is_session_id(text)


def test_client_text_is_one_word_in_the_log() -> None:
    assert sanitize_for_log("a\r\nb c\x1b[1m\u2028\x85d") == "a??b?c?[1m??d"
    assert len(sanitize_for_log("x" * 9999)) == 200
    assert sanitize_for_log(None) == "-"
