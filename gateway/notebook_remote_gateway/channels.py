"""A kernel's channels, opened with a ticket instead of the gateway's token.

A mixin in front of the gateway's own handler. Without a ticket that handler does everything, as if
we were not there. With one, its authentication is not even asked: the ticket opens this connection
or nothing does, whatever else the request brings along.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from .addon import PARAM, AddOn
from .exceptions import Refused
from .messages import V1, fault_of

BAD_DATA = 1007  # RFC 6455: a message that is not what its type says
if TYPE_CHECKING:
    Base = WebSocketHandler
else:
    Base = object


def take_ticket(request: HTTPServerRequest) -> list[bytes] | None:
    """Take what is presented as a ticket out of a request, or return None if nothing is.

    Called before anything can log the request. Only the session id is left of its query then.
    """
    presented = request.query_arguments.get(PARAM)
    if presented is None:
        return None
    session_ids = request.query_arguments.get("session_id", [])
    request.query_arguments = {"session_id": session_ids} if session_ids else {}
    request.query = urlencode(request.query_arguments, doseq=True)
    request.uri = f"{request.path}?{request.query}" if request.query else request.path
    request.arguments = {name: [*values] for name, values in request.query_arguments.items()}
    return presented


def refuse(handler: RequestHandler) -> None:
    """Answer 403 ourselves: the gateway's error pages look at who the user is."""
    handler.set_status(403)
    handler.set_header("Content-Type", "application/json")
    handler.finish({"message": "This ticket does not open this.", "reason": "ticket-refused"})


class RedeemsTickets(Base):
    """In front of a gateway's handler for a kernel's channels; ``addon`` is set by routes.py."""

    addon: AddOn
    check_host: Any  # the gateway's

    def __init__(self, application: Application, request: HTTPServerRequest, **kw: Any) -> None:
        self._presented = take_ticket(request)
        self._redeemed = False
        super().__init__(application, request, **kw)

    def prepare(self) -> Awaitable[None] | None:
        """Check the ticket; called by tornado before the gateway has seen the request."""
        if self._presented is None:
            return super().prepare()
        kernel_id, origin = self.path_kwargs["kernel_id"], self.request.headers.get("Origin")
        try:
            user = self._redeem(self._presented, kernel_id, origin)
        except Refused as refusal:
            self.addon.audit("redeem", refusal.reason, kernel_id, origin, "")
            self.current_user = self._jupyter_current_user = None
            refuse(self)
        else:
            self.addon.audit("redeem", "ok", kernel_id, origin, user)
        return None

    def _redeem(self, presented: list[bytes], kernel_id: str, origin: str | None) -> str:
        """Let the ticket's holder in and return his name; else raise Refused."""
        # A form in the body would count as well, and the gateway takes the last value there is.
        self.request.arguments = self.request.query_arguments
        self.request.body_arguments = {}
        session_ids = self.request.query_arguments.get("session_id", [])
        upgrade = self.request.headers.get("Upgrade", "").lower()
        if self.request.method != "GET" or upgrade != "websocket":
            raise Refused("no-websocket")
        if len(presented) != 1 or not presented[0].isascii():
            raise Refused("malformed")
        if len(session_ids) != 1:
            raise Refused("wrong-session")
        session_id = session_ids[0].decode("ascii", "replace")
        ticket = presented[0].decode("ascii")
        holder = self.addon.tickets.redeem(ticket, kernel_id, origin, session_id)
        if not self.check_host():
            raise Refused("wrong-host")
        self.addon.kind.enter(self, holder.name, holder.user)
        self._redeemed = True
        return holder.name

    def check_origin(self, *args: Any, **kwargs: Any) -> bool:
        """Whether the page's origin may connect: a ticket is bound to one, which was compared."""
        return self._redeemed or bool(super().check_origin(*args, **kwargs))

    def open(self, *args: Any, **kwargs: Any) -> Any:
        """Send small messages at once; called by tornado after the handshake."""
        if self._redeemed:
            self.set_nodelay(True)
        return super().open(*args, **kwargs)

    def on_message(self, message: str | bytes) -> Any:
        """Look at what comes from a page before the gateway does; called by tornado."""
        if self._redeemed:
            fault = fault_of(message, self.selected_subprotocol == V1)
            if fault:
                self.addon.log.warning(
                    "Closing the channels of kernel %s: a message with %s",
                    self.path_kwargs["kernel_id"],
                    fault,
                )
                # Tornado's own: the one of jupyter_server 1 takes no code.
                WebSocketHandler.close(self, BAD_DATA, "impossible offset table")
                return None
        return super().on_message(message)


class TicketElsewhere(Matcher):
    """Matches a request that presents a ticket, whatever its path; the last of our routes."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Called by tornado for each request that no route before this one has matched."""
        return {} if PARAM in request.query_arguments else None


class TicketElsewhereHandler(RequestHandler):
    """Refuses a ticket on a route where none is taken, before that route's handler logs it."""

    def initialize(self, addon: AddOn) -> None:
        """Called by tornado for each request, before anything else."""
        self.addon = addon
        take_ticket(self.request)

    def prepare(self) -> None:
        """Refuse it."""
        self.addon.audit("redeem", "wrong-route", "-", self.request.headers.get("Origin"), "")
        refuse(self)
