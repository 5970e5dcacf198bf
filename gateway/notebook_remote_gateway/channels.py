"""A kernel's channels, opened with a ticket instead of the gateway's token.

A mixin in front of the gateway's own handler. That handler does everything for a request without a
ticket. For a request with one, the ticket alone decides: the gateway's authentication is not asked,
whatever other credentials the request has.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from .addon import AddOn
from .exceptions import CredentialRejected
from .messages import V1, find_fault
from .tickets import TICKET_PARAM

INVALID_PAYLOAD = 1007  # the close code of RFC 6455 for a message that does not fit its type
if TYPE_CHECKING:
    Base = WebSocketHandler
else:
    Base = object


def pop_tickets(request: HTTPServerRequest) -> list[bytes] | None:
    """Remove all tickets from a request's query and return them, or None if there are none.

    Called before anything can log the request. Afterwards the query has the session id only.
    """
    tickets = request.query_arguments.get(TICKET_PARAM)
    if tickets is None:
        return None
    session_ids = request.query_arguments.get("session_id", [])
    request.query_arguments = {"session_id": session_ids} if session_ids else {}
    request.query = urlencode(request.query_arguments, doseq=True)
    request.uri = f"{request.path}?{request.query}" if request.query else request.path
    request.arguments = {name: [*values] for name, values in request.query_arguments.items()}
    return tickets


def send_rejection(handler: RequestHandler) -> None:
    """Respond with 403, without the gateway's error pages: they look up the user."""
    handler.set_status(403)
    handler.set_header("Content-Type", "application/json")
    handler.finish({"message": "The ticket is not valid here.", "reason": "ticket-refused"})


class TicketChannelsMixin(Base):
    """In front of a gateway's handler for a kernel's channels; ``addon`` is set by routes.py."""

    addon: AddOn
    check_host: Any  # the gateway's

    def __init__(self, application: Application, request: HTTPServerRequest, **kw: Any) -> None:
        self._tickets = pop_tickets(request)
        self._redeemed = False
        super().__init__(application, request, **kw)

    def prepare(self) -> Awaitable[None] | None:
        """Redeem the ticket; called by tornado before the gateway has seen the request."""
        if self._tickets is None:
            return super().prepare()
        kernel_id, origin = self.path_kwargs["kernel_id"], self.request.headers.get("Origin")
        try:
            user = self._redeem(self._tickets, kernel_id, origin)
        except CredentialRejected as rejection:
            self.addon.audit("redeem", rejection.reason, kernel_id, origin, "")
            self.current_user = self._jupyter_current_user = None
            send_rejection(self)
        else:
            self.addon.audit("redeem", "ok", kernel_id, origin, user)
        return None

    def _redeem(self, tickets: list[bytes], kernel_id: str, origin: str | None) -> str:
        """Set the ticket's user as the request's and return the name; raise CredentialRejected."""
        # The gateway uses the last value of an argument, which could be in a form in the body.
        self.request.arguments = self.request.query_arguments
        self.request.body_arguments = {}
        session_ids = self.request.query_arguments.get("session_id", [])
        upgrade = self.request.headers.get("Upgrade", "").lower()
        if self.request.method != "GET" or upgrade != "websocket":
            raise CredentialRejected("no-websocket")
        if len(tickets) != 1 or not tickets[0].isascii():
            raise CredentialRejected("malformed")
        if len(session_ids) != 1:
            raise CredentialRejected("wrong-session")
        session_id = session_ids[0].decode("ascii", "replace")
        ticket = tickets[0].decode("ascii")
        identity = self.addon.tickets.redeem(ticket, kernel_id, origin, session_id)
        if not self.check_host():
            raise CredentialRejected("wrong-host")
        self.addon.gateway.set_user(self, identity.name, identity.user)
        self._redeemed = True
        return identity.name

    def check_origin(self, *args: Any, **kwargs: Any) -> bool:
        """Return whether the page's origin may connect; a redeemed ticket was bound to it."""
        return self._redeemed or bool(super().check_origin(*args, **kwargs))

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Set TCP_NODELAY, so that small messages do not wait; called after the handshake."""
        if self._redeemed:
            self.set_nodelay(True)
        return super().open(*args, **kwargs)

    def on_message(self, message: str | bytes) -> Any:
        """Validate a page's message before the gateway parses it; called by tornado."""
        if self._redeemed:
            fault = find_fault(message, self.selected_subprotocol == V1)
            if fault:
                self.addon.log.warning(
                    "Closing the channels of kernel %s: a message with %s",
                    self.path_kwargs["kernel_id"],
                    fault,
                )
                # Tornado's method: the one of jupyter_server 1 does not take a code.
                WebSocketHandler.close(self, INVALID_PAYLOAD, "impossible offset table")
                return None
        return super().on_message(message)


class MisplacedTicketMatcher(Matcher):
    """Matches a request with a ticket, whatever its path; it is the last of the add-on's routes."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Called by tornado for each request that no earlier route has matched."""
        return {} if TICKET_PARAM in request.query_arguments else None


class MisplacedTicketHandler(RequestHandler):
    """Rejects a ticket on a route that accepts none, before that route's handler can log it."""

    def initialize(self, addon: AddOn) -> None:
        """Called by tornado for each request, before anything else."""
        self.addon = addon
        pop_tickets(self.request)

    def prepare(self) -> None:
        """Respond with 403; called by tornado."""
        self.addon.audit("redeem", "wrong-route", "-", self.request.headers.get("Origin"), "")
        send_rejection(self)
