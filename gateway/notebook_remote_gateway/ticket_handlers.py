"""REST for notebook servers: tickets for the kernels of this gateway.

Authenticated by the gateway itself, but by a header and by nothing else: a token in a URL ends up
in logs, and a cookie is sent by pages that the user did not mean to send it.
"""

from __future__ import annotations

import inspect
import json
import math
from typing import TYPE_CHECKING, Any

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError, RequestHandler

from .addon import PARAM, AddOn
from .tickets import Holder
from .validation import ID_RULE, ORIGIN_RULE, is_origin, is_session_id

MAX_BODY = 16 * 1024  # bytes
if TYPE_CHECKING:
    Base = RequestHandler
else:
    Base = object


class Problem(HTTPError):
    """An answer other than the one that was asked for: its status, a code and a sentence.

    ``wait`` is the seconds after which to try again, if that helps.
    """

    def __init__(self, status: int, code: str, sentence: str, wait: float = 0) -> None:
        super().__init__(status, sentence)
        self.code, self.sentence, self.wait = code, sentence, wait


class Answers(Base):
    """JSON in, JSON out; errors are ``{"message", "reason"}``. ``addon`` is set by routes.py."""

    addon: AddOn
    authorizer: Any  # this and the next are the gateway's
    kernel_manager: Any

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with what went wrong; called by tornado."""
        error = kwargs.get("exc_info", (None, None))[1]
        message, reason = self._reason, "error"
        if isinstance(error, Problem):
            message, reason = error.sentence, error.code
            if error.wait:
                self.set_header("Retry-After", math.ceil(error.wait))
        elif isinstance(error, HTTPError) and error.log_message:
            message = error.log_message
        if status_code in (401, 403) and reason == "error":
            reason = "unauthorized" if status_code == 401 else "forbidden"
        elif status_code == 404:
            reason = "not-found"
        self.set_header("Content-Type", "application/json")
        self.finish({"message": message, "reason": reason})

    def body(self) -> dict[str, Any]:
        """Return the JSON object that was sent; raise Problem if it is none."""
        # Without this, a page could send a form, which needs no permission of the browser.
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Problem(400, "content-type", "Send Content-Type: application/json.")
        if len(self.request.body) > MAX_BODY:
            raise Problem(400, "body-too-long", f"The body is longer than {MAX_BODY} bytes.")
        try:
            body = json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise Problem(400, "bad-json", "The body is no JSON.") from None
        if not isinstance(body, dict):
            raise Problem(400, "bad-json", "The body has to be a JSON object.")
        return body

    def origin_in(self, body: dict[str, Any]) -> str:
        """Return the origin in a body; raise Problem if it is none."""
        if not is_origin(body.get("origin")):
            raise Problem(400, "bad-origin", f"{ORIGIN_RULE}.")
        return str(body["origin"])

    def session_in(self, body: dict[str, Any]) -> str:
        """Return the session id in a body; raise Problem if it is none."""
        if not is_session_id(body.get("session_id")):
            raise Problem(400, "bad-session-id", f"'session_id' {ID_RULE}.")
        return str(body["session_id"])

    async def permit(self, action: str, resource: str) -> None:
        """Ask the gateway's authorizer; raise Problem if it says no."""
        answer = self.authorizer.is_authorized(self, self.current_user, action, resource)
        if inspect.isawaitable(answer):
            answer = await answer
        if not answer:
            raise Problem(403, "not-authorized", f"You may not {action} {resource} here.")

    def ration(self) -> None:
        """Count a ticket that is about to be made; raise Problem if there were too many."""
        wait = self.addon.bucket.take()
        if wait:
            raise Problem(429, "too-many", "Too many tickets in a short time; try later.", wait)

    def send_ticket(self, kernel_id: str, origin: str, session_id: str, holder: Holder) -> None:
        """Make a ticket and answer with it."""
        ticket = self.addon.tickets.mint(kernel_id, origin, session_id, holder)
        self.set_status(201)
        self.set_header("Cache-Control", "no-store")
        self.finish({"ticket": ticket, "param": PARAM, "expires_in": self.addon.tickets.lifetime})


class ByTokenInHeader(Answers):
    """In front of a gateway's REST handler; leaves it a header to authenticate by, if there is."""

    def __init__(self, application: Application, request: HTTPServerRequest, **kw: Any) -> None:
        if "Cookie" in request.headers:
            del request.headers["Cookie"]
        request.uri, request.query = request.path, ""
        super().__init__(application, request, **kw)

    async def prepare(self) -> None:
        """Let the gateway authenticate the request, and make sure that it does."""
        for arguments in ("arguments", "query_arguments", "body_arguments"):
            setattr(self.request, arguments, {})
        if not self.addon.kind.asks_for_token(self):
            raise Problem(
                403,
                "no-token",
                "This gateway asks nobody for a token, so it gives no tickets. Set a token.",
            )
        if not self.check_origin():
            raise Problem(403, "origin", "This is for servers, not for pages.")
        prepared = super().prepare()
        if inspect.isawaitable(prepared):
            await prepared
        if not self._finished and not self.current_user:
            raise Problem(403, "forbidden", "A token is needed, in a header.")

    def check_origin(self, *args: Any) -> bool:
        """Whether it is no page that asks; called by the gateway's ``prepare`` as well."""
        return "Origin" not in self.request.headers

    def check_xsrf_cookie(self) -> None:
        """There is no cookie that a page could make use of; called by the gateway or tornado."""

    def set_cookie(self, *args: Any, **kwargs: Any) -> None:
        """Set none: Jupyter Server would log in whoever has shown a token."""

    @property
    def user_name(self) -> str:
        """The user's name for the ticket; the gateways differ in what a user is."""
        return str(getattr(self.current_user, "username", self.current_user))[:128]


class TicketHandler(ByTokenInHeader):
    """``POST /api/kernels/<id>/channels/ticket``: a ticket for a kernel's channels."""

    async def post(self, kernel_id: str) -> None:
        """Answer with a ticket; the body says for which origin and session."""
        body: dict[str, Any] = {}

        def audit(outcome: str) -> None:
            self.addon.audit("mint", outcome, kernel_id, str(body.get("origin")), self.user_name)

        try:
            await self.permit("execute", "kernels")
            body = self.body()
            origin, session_id = self.origin_in(body), self.session_in(body)
            self.addon.kind.check_kernel(self.kernel_manager, kernel_id)
            self.ration()
        except HTTPError as error:
            audit(error.code if isinstance(error, Problem) else str(error.status_code))
            raise
        audit("ok")
        holder = Holder(self.user_name, self.current_user)
        self.send_ticket(kernel_id, origin, session_id, holder)
