"""The tree of errors and its one table of HTTP statuses."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl

import httpx
import pytest
from jupyter_client.kernelspec import NoSuchKernel
from tornado import web

from notebook_remote import exceptions
from notebook_remote.client.errors import unreachable
from notebook_remote.exceptions import (
    GatewayError,
    GatewayUnreachable,
    KernelNotFound,
    KernelSpecNotFound,
)
from notebook_remote.handlers.base import error_text, http_error_behind
from notebook_remote.redaction import redacted_address, without_secrets


def test_the_docstring_is_the_tree() -> None:
    assert exceptions.__doc__ is not None
    told = {name: int(n) for name, n in re.findall(r"── (\w+) +(\d{3})", exceptions.__doc__)}
    real = {c.__name__: c.http_status for c in GatewayError.__subclasses__()}
    assert told == real


def test_percent_signs_are_shown_once_and_logged_safely() -> None:
    error = GatewayUnreachable("http://host/a%20b is 100% down")
    assert str(error) == error_text(error) == "http://host/a%20b is 100% down"
    assert (error.log_message or "") % error.args == str(error)
    other = web.HTTPError(404, "No %s at 5%%", "kernel")
    assert error_text(other) == "No kernel at 5%"


def test_a_missing_kernelspec_is_what_jupyter_expects() -> None:
    error = KernelSpecNotFound("x", "There is no x.")
    assert isinstance(error, NoSuchKernel)
    assert isinstance(error, KeyError)
    assert (error.name, str(error)) == ("x", "There is no x.")


def test_an_error_behind_a_bare_500_is_found() -> None:
    bare = web.HTTPError(500, "bare")
    bare.__cause__ = KernelNotFound("gone")
    assert http_error_behind(bare) is bare.__cause__
    assert http_error_behind(web.HTTPError(500)) is None
    assert http_error_behind(ValueError()) is None
    told = web.HTTPError(404)
    told.__cause__ = GatewayUnreachable("x")
    assert http_error_behind(told) is told


def tls_error(kind: type[ssl.SSLError], **attributes: str) -> ssl.SSLError:
    """As OpenSSL's own errors are: with attributes that a bare exception does not have."""
    error = kind(1, "tls")
    vars(error).update(attributes)
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(), "connection refused"),
        (socket.gaierror(), "cannot be resolved"),
        (TimeoutError(), "did not answer in time"),
        (asyncio.TimeoutError(), "did not answer in time"),
        (tls_error(ssl.SSLError, reason="WRONG_VERSION_NUMBER"), "No TLS connection"),
        (tls_error(ssl.SSLCertVerificationError, verify_message="self-signed"), "is not trusted"),
        (ConnectionResetError(), "broke off (ConnectionResetError)"),
        (httpx.RemoteProtocolError("x"), "broke off (RemoteProtocolError)"),
    ],
)
def test_each_reason_has_its_sentence(error: Exception, words: str) -> None:
    wrapped = httpx.ConnectError("All connection attempts failed")
    wrapped.__cause__ = error
    for each in (error, wrapped):
        told = unreachable("https://ada:pw@host:1/x?token=abc", each)
        assert words.split(" (")[0] in told.message
        assert "pw" not in told.message
        assert "abc" not in told.message
        assert "--" in told.message  # it names an option: the next step


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://ada:p@ss@host:1/x", "http://host:1/x"),
        ("http://ada:p/s@host/x", "http://host/x"),
        ("http://host:8888/x/@y http://[::1]:8/x@y", "http://host:8888/x/@y http://[::1]:8/x@y"),
        ("see http://h/?password=p&x=1", "see http://h/?password=[secret]&x=1"),
        ("'https://h/?API_KEY=k#access_token=t'", "'https://h/?API_KEY=[secret]'"),
    ],
)
def test_secrets_are_taken_out_whole(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("user:SEK@host:8888", "host:8888"),
        ("//u:SEK@h", "h"),
        ("http:/u:SEK@h", "h"),
        ("http//u:SEK@h", "h"),
        ("ftp://u:SEK@h", "h"),
        ("https://u:S@E/K@h?token=SEK", "https://h?token=[secret]"),
        ("host:8888", "host:8888"),
    ],
)
def test_of_an_unusable_address_nothing_is_shown_before_its_last_at(text: str, shown: str) -> None:
    assert redacted_address(text) == shown


def test_secrets_are_taken_out() -> None:
    text = "http://ada:pw@host/x?a=1&token=abc&nr_ticket=def 'https://b@c/'"
    assert without_secrets(text) == (
        "http://host/x?a=1&token=[secret]&nr_ticket=[secret] 'https://c/'"
    )
