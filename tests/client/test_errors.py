"""The error for each kind of answer, and for a request without one."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import httpx
import pytest

from notebook_remote.client.address import GatewayAddress
from notebook_remote.client.auth import GatewayAuth
from notebook_remote.client.errors import (
    GatewayErrors,
    WrongScheme,
    explanation,
    json_body,
    unreachable,
)
from notebook_remote.config.gateway import Gateway
from notebook_remote.exceptions import (
    GatewayAnswerError,
    GatewayAuthError,
    GatewayError,
    GatewayLimitReached,
    GatewayRefused,
    GatewayUnreachable,
)
from notebook_remote.net.http_proxy import TunnelRefused

URL = "https://ada:s3cret@host:8888/prefix"


def response(status: int, **content: Any) -> httpx.Response:
    return httpx.Response(status, request=httpx.Request("GET", "http://host/api"), **content)


def tls_error(cls: type[ssl.SSLError]) -> ssl.SSLError:
    """An error with the attributes that OpenSSL sets."""
    error = cls()
    error.reason = "HANDSHAKE_FAILURE"
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_message = "self-signed certificate"
    return error


@pytest.fixture
def errors() -> GatewayErrors:
    config = Gateway(url="http://host:8888", auth_token="t")
    return GatewayErrors(config, GatewayAddress(config), GatewayAuth(config))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (WrongScheme("http://host:8888"), "write http:// in place of https://"),
        (TunnelRefused("403 Forbidden"), "does not let us through"),
        (tls_error(ssl.SSLCertVerificationError), "ca_certs"),
        (tls_error(ssl.SSLError), "client_cert"),
        (socket.gaierror(), "cannot be resolved"),
        (ConnectionRefusedError(), "Nothing listens"),
        (TimeoutError(), "did not answer in time"),
        (ConnectionResetError(), "broke off"),
    ],
)
def test_a_request_without_an_answer(error: Exception, words: str) -> None:
    outer = RuntimeError("of the HTTP library")
    outer.__cause__ = error
    sentence = unreachable(URL, outer, proxy="").message
    assert words in sentence
    assert "s3cret" not in sentence


@pytest.mark.parametrize("error", [socket.gaierror(), ConnectionRefusedError()])
def test_a_proxy_that_is_not_there(error: Exception) -> None:
    assert "There is no proxy" in unreachable(URL, error, proxy="http://proxy:3128").message


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ProxyError("403"), False),
        (WrongScheme("https://host"), False),
        (httpx.ReadTimeout("late"), True),
        (httpx.RemoteProtocolError("cut off"), True),
    ],
)
def test_whether_the_gateway_may_have_received_a_request(
    errors: GatewayErrors, error: Exception, sent: bool
) -> None:
    assert errors.no_answer(error).request_sent is sent


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (response(401), GatewayAuthError),
        (response(403), GatewayAuthError),
        (response(302, headers={"Location": "/hub/login"}), GatewayAuthError),
        (response(302, headers={"Location": "/elsewhere"}), GatewayAnswerError),
        (response(404), GatewayAnswerError),
        (response(407), GatewayUnreachable),
        (response(500), GatewayAnswerError),
        (response(503), GatewayUnreachable),
    ],
)
def test_the_status_decides_the_kind(
    errors: GatewayErrors, answer: httpx.Response, kind: type[GatewayError]
) -> None:
    assert type(errors.for_status(answer)) is kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ({"json": {"message": "Resource Limit reached"}}, GatewayLimitReached),
        ({"json": {"message": "ada may not use python3"}}, GatewayRefused),
        ({"json": {"message": "Forbidden"}}, GatewayAuthError),
        ({"json": {"message": "'_xsrf' argument missing"}}, GatewayAuthError),
        ({"text": "<title>403</title>"}, GatewayAnswerError),
    ],
)
def test_why_a_start_is_refused(
    errors: GatewayErrors, content: dict[str, Any], kind: type[GatewayError]
) -> None:
    assert type(errors.start_refused(response(403, **content))) is kind


def test_a_warning_is_logged_once(errors: GatewayErrors, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        errors.warn_once("100 % of it cannot be used.")
    assert caplog.messages == ["100 % of it cannot be used."]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"json": {"message": "short", "reason": "a longer reason."}}, "a longer reason"),
        ({"json": {"message": None, "reason": 1}}, ""),
        ({"json": ["a", "list"]}, '["a", "list"]'),
        ({"text": "<html><title>Bad\n Gateway</title>"}, "Bad Gateway"),
        ({"text": "no title"}, ""),
        ({"json": {"message": "see http://h/?token=s3cret"}}, "see http://h/?token=[secret]"),
    ],
)
def test_the_explanation_is_one_line_without_secrets(content: dict[str, Any], text: str) -> None:
    assert explanation(response(500, **content)) == text


def test_a_body_that_is_not_json() -> None:
    assert json_body(response(200, text="[" * 100_000)) is None
    assert json_body(response(200, json={"a": 1})) == {"a": 1}
