"""Cross-origin requests (CORS) of pages, for the origins in ``NOTEBOOK_REMOTE_ALLOWED_ORIGINS``.

They apply to the add-on's own routes only, which in turn ignore the gateway's CORS configuration.
Credentials are never allowed, so cookies play no part.
"""

from __future__ import annotations

from .base_handlers import HeaderTokenMixin, JsonApiMixin
from .exceptions import ApiError

PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Max-Age": "600",  # seconds
}


class CorsMixin(JsonApiMixin):
    """Sends the CORS headers for allowed origins and answers preflight requests."""

    def set_default_headers(self) -> None:
        """Replace the gateway's CORS headers; called by tornado for each response."""
        super().set_default_headers()
        for name in [n for n, _ in self._headers.get_all() if n.startswith("Access-Control-")]:
            self.clear_header(name)
        self.set_header("Vary", "Origin")
        origin = self.request.headers.get("Origin", "")
        if origin in self.addon.settings.origins:
            self.set_header("Access-Control-Allow-Origin", origin)

    def set_cors_headers(self) -> None:
        """Keep the default headers; called by the gateway once the user is known."""

    def check_trusted_origin(self, origin: str) -> bool:
        """Return whether pages of an origin may send requests; called by Tornado if configured."""
        return origin in self.addon.settings.origins

    def answer_preflight(self) -> bool:
        """Answer a preflight request; return whether the request was one."""
        if self.request.method != "OPTIONS":
            return False
        if self.request.headers.get("Origin") not in self.addon.settings.origins:
            raise ApiError(403, "origin", "This origin is not allowed.")
        for name, value in PREFLIGHT_HEADERS.items():
            self.set_header(name, value)
        self.set_status(204)
        self.finish()
        return True


class CorsTokenMixin(CorsMixin, HeaderTokenMixin):
    """For servers, and for pages whose user has entered the gateway's token."""

    async def prepare(self) -> None:
        """Authenticate the request unless it is a preflight request; called by tornado."""
        if not self.answer_preflight():
            await super().prepare()

    def check_origin(self, *args: object) -> bool:
        """Return whether the client is a server or a page of an allowed origin."""
        origin = self.request.headers.get("Origin")
        return origin is None or origin in self.addon.settings.origins
