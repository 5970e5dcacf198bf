"""The error that a handler answers with, behind those that jupyter_server wraps around it."""

from __future__ import annotations

import pytest
from tornado import web

from notebook_remote.exceptions import GatewayUnreachable
from notebook_remote.handlers.base import error_text, http_error_behind


def wrapped(error: Exception, outer: Exception) -> Exception:
    """An error raised from another one."""
    outer.__cause__ = error
    return outer


def test_a_gateways_error_is_found_behind_a_bare_500() -> None:
    error = GatewayUnreachable("It is down.")
    assert http_error_behind(wrapped(error, web.HTTPError(500))) is error
    assert http_error_behind(wrapped(wrapped(error, RuntimeError()), web.HTTPError(500))) is error


def test_an_error_of_the_handler_itself_comes_first() -> None:
    error = web.HTTPError(404)
    assert http_error_behind(wrapped(GatewayUnreachable("It is down."), error)) is error


@pytest.mark.parametrize("error", [None, RuntimeError("x"), web.HTTPError(500)])
def test_other_errors_stay_as_they_are(error: Exception | None) -> None:
    assert http_error_behind(error) is None


def test_the_text_of_an_error() -> None:
    assert error_text(GatewayUnreachable("It is down.")) == "It is down."
    assert error_text(web.HTTPError(404, "No kernel %s.", "k1")) == "No kernel k1."
    assert error_text(web.HTTPError(404, reason="Not here")) == "Not here"
