"""The add-on's exceptions."""

from __future__ import annotations

from tornado.web import HTTPError


class CredentialRejected(Exception):
    """A ticket or a pass is not valid for a request.

    ``reason`` is one of the codes that README.md lists for the log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ApiError(HTTPError):
    """An error response of the REST API, with a code for programs and a message for people.

    ``retry_after`` is the time in seconds after which the same request may succeed, 0 if it never
    will.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: float = 0) -> None:
        super().__init__(status, message)
        self.code, self.message, self.retry_after = code, message, retry_after


class SettingsError(ValueError):
    """An environment variable has an invalid value; the message names it and says what is valid."""
