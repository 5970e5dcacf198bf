"""What the REST handlers have in common: JSON bodies, error responses, and the gateway's token.

The token counts in a header only: a token in a URL ends up in logs, and browsers send cookies with
requests that the user did not intend.
"""

from __future__ import annotations

import inspect
import json
import math
from typing import TYPE_CHECKING, Any

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError, RequestHandler

from .addon import AddOn
from .exceptions import ApiError
from .tickets import TICKET_PARAM, Identity
from .validation import ORIGIN_RULE, SESSION_ID_RULE, is_origin, is_session_id

MAX_BODY_SIZE = 16 * 1024  # bytes
if TYPE_CHECKING:
    Base = RequestHandler
else:
    Base = object


class JsonApiMixin(Base):
    """JSON requests and responses; errors are ``{"message", "reason"}``.

    In front of a gateway's REST handler. ``addon`` is set by routes.py.
    """

    addon: AddOn
    authorizer: Any  # this and the next are the gateway's
    kernel_manager: Any

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Send the error response; called by tornado."""
        error = kwargs.get("exc_info", (None, None))[1]
        message, reason = self._reason, "error"
        if isinstance(error, ApiError):
            message, reason = error.message, error.code
            if error.retry_after:
                self.set_header("Retry-After", math.ceil(error.retry_after))
        elif isinstance(error, HTTPError) and error.log_message:
            message = error.log_message
        if status_code in (401, 403) and reason == "error":
            reason = "unauthorized" if status_code == 401 else "forbidden"
        elif status_code == 404:
            reason = "not-found"
        self.set_header("Content-Type", "application/json")
        self.finish({"message": message, "reason": reason})

    def json_body(self) -> dict[str, Any]:
        """Return the request's JSON object; raise ApiError if there is none."""
        # A page may send a form to any server without the permission that JSON needs (CORS).
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiError(400, "content-type", "Send Content-Type: application/json.")
        if len(self.request.body) > MAX_BODY_SIZE:
            raise ApiError(400, "body-too-long", f"The body is longer than {MAX_BODY_SIZE} bytes.")
        try:
            body = json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise ApiError(400, "bad-json", "The body is not valid JSON.") from None
        if not isinstance(body, dict):
            raise ApiError(400, "bad-json", "The body must be a JSON object.")
        return body

    def require_origin(self, body: dict[str, Any]) -> str:
        """Return the origin in a body; raise ApiError if it is missing or invalid."""
        if not is_origin(body.get("origin")):
            raise ApiError(400, "bad-origin", f"{ORIGIN_RULE}.")
        return str(body["origin"])

    def require_session_id(self, body: dict[str, Any]) -> str:
        """Return the session id in a body; raise ApiError if it is missing or invalid."""
        if not is_session_id(body.get("session_id")):
            raise ApiError(400, "bad-session-id", f"'session_id' {SESSION_ID_RULE}.")
        return str(body["session_id"])

    async def authorize(self, action: str, resource: str) -> None:
        """Ask the gateway's authorizer; raise ApiError if the user is not allowed."""
        allowed = self.authorizer.is_authorized(self, self.current_user, action, resource)
        if inspect.isawaitable(allowed):
            allowed = await allowed
        if not allowed:
            raise ApiError(403, "not-authorized", f"You are not allowed to {action} {resource}.")

    def check_rate_limit(self) -> None:
        """Count a ticket or pass that is about to be minted; raise ApiError above the limit."""
        wait = self.addon.rate_limit.take()
        if wait:
            raise ApiError(429, "too-many", "Too many tickets in a short time; try later.", wait)

    def send_ticket(self, kernel_id: str, origin: str, session_id: str, identity: Identity) -> None:
        """Mint a ticket and respond with it."""
        ticket = self.addon.tickets.mint(kernel_id, origin, session_id, identity)
        self.set_status(201)
        self.set_header("Cache-Control", "no-store")
        lifetime = self.addon.tickets.lifetime
        self.finish({"ticket": ticket, "param": TICKET_PARAM, "expires_in": lifetime})


class NoCookiesMixin(JsonApiMixin):
    """Removes cookies and the query from a request: only its other headers may authenticate it."""

    def __init__(self, application: Application, request: HTTPServerRequest, **kw: Any) -> None:
        if "Cookie" in request.headers:
            del request.headers["Cookie"]
        request.uri, request.query = request.path, ""
        super().__init__(application, request, **kw)

    def drop_arguments(self) -> None:
        """Remove the arguments of the query and of a form."""
        for arguments in ("arguments", "query_arguments", "body_arguments"):
            setattr(self.request, arguments, {})

    def check_xsrf_cookie(self) -> None:
        """Do nothing: a forged request has no cookie to abuse. Called by gateway or tornado."""

    def set_cookie(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: Jupyter Server would log in everybody who presents a token."""


class HeaderTokenMixin(NoCookiesMixin):
    """Has the gateway authenticate a request, by the token in a header only."""

    async def prepare(self) -> None:
        """Authenticate the request; called by tornado."""
        self.drop_arguments()
        if not self.addon.gateway.requires_token(self):
            raise ApiError(
                403,
                "no-token",
                "This gateway does not require a token, so it issues no tickets. Set a token.",
            )
        if not self.check_origin():
            raise ApiError(403, "origin", "This is for servers, not for pages.")
        prepared = super().prepare()
        if inspect.isawaitable(prepared):
            await prepared
        if not self._finished and not self.current_user:
            raise ApiError(403, "forbidden", "A token is required, in a header.")

    def check_origin(self, *args: Any) -> bool:
        """Return whether the client is not a page; called by the gateway's ``prepare`` as well."""
        return "Origin" not in self.request.headers

    @property
    def user_name(self) -> str:
        """The user's name, for tickets and the log; the gateways have different user objects."""
        return str(getattr(self.current_user, "username", self.current_user))[:128]
