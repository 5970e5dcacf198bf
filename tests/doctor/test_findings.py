"""Findings, time limits and error messages of the doctor."""

from __future__ import annotations

import threading

import pytest
import requests

from notebook_remote.doctor.findings import error_message, in_short, within


def response(body: str) -> requests.Response:
    made = requests.Response()
    made._content = body.encode()
    made.encoding = "utf-8"
    return made


def test_the_result_or_error_of_limited_work() -> None:
    assert within(5, lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


def test_work_without_end_has_a_limit() -> None:
    with pytest.raises(TimeoutError, match="no answer within 0 s"):
        within(0.05, threading.Event().wait)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"message": "no", "reason": "Forbidden", "detail": "no"}', "no: Forbidden"),
        ("{}", ""),
        ("<html><title>502 Bad Gateway</title></html>", "502 Bad Gateway"),
        ("plain text", "plain text"),
        ("[]", "[]"),
    ],
)
def test_the_error_message_of_a_response(body: str, message: str) -> None:
    assert error_message(response(body)) == message


def test_the_innermost_message_of_an_error() -> None:
    inner = OSError("<HTTPConnection object at 0x7f>: refused")
    assert in_short(requests.ConnectionError(inner)) == "refused"
    assert in_short(ValueError()) == "ValueError"
