"""REST for notebook servers: what the add-on offers, and tickets for the gateway's kernels."""

from __future__ import annotations

from typing import Any

from tornado.web import HTTPError

from ._version import __version__
from .base_handlers import HeaderTokenMixin
from .cors import CorsTokenMixin
from .exceptions import ApiError
from .tickets import Identity


class FeaturesHandler(CorsTokenMixin):
    """``GET /api/notebook-remote``: whether the gateway has the add-on, and what it offers."""

    async def get(self) -> None:
        """Respond with the version, the kind of gateway and the features."""
        await self.authorize("read", "api")
        features = ["tickets", *(["passes"] if self.addon.settings.origins else [])]
        kind = self.addon.gateway.kind
        self.finish({"version": __version__, "kind": kind, "features": features})


class TicketHandler(HeaderTokenMixin):
    """``POST /api/kernels/<id>/channels/ticket``: a ticket for a kernel's channels."""

    async def post(self, kernel_id: str) -> None:
        """Respond with a ticket for the origin and session in the body."""
        body: dict[str, Any] = {}

        def audit(outcome: str) -> None:
            self.addon.audit("mint", outcome, kernel_id, str(body.get("origin")), self.user_name)

        try:
            await self.authorize("execute", "kernels")
            body = self.json_body()
            origin, session_id = self.require_origin(body), self.require_session_id(body)
            self.addon.gateway.check_kernel(self.kernel_manager, kernel_id)
            self.check_rate_limit()
        except HTTPError as error:
            audit(error.code if isinstance(error, ApiError) else str(error.status_code))
            raise
        audit("ok")
        identity = Identity(self.user_name, self.current_user)
        self.send_ticket(kernel_id, origin, session_id, identity)
