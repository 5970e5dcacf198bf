"""Jupyter's sessions routes with checked input."""

from __future__ import annotations

import json
from typing import Any

from jupyter_client.jsonutil import json_default
from jupyter_server.auth.decorator import authorized
from jupyter_server.services.sessions.handlers import SessionHandler, SessionRootHandler
from tornado import web

from ..client.models import KERNEL_ID
from ..services.session_manager import KernelNotStarted, RemoteSessionManager
from .base import CheckedHandler, error_text, http_error_behind


class RemoteSessionRootHandler(CheckedHandler, SessionRootHandler):
    """``/api/sessions``."""

    body_schema = "JupyterSessionRequest"

    def get_json_body(self) -> dict[str, Any] | None:
        """The body without an impossible kernel id; called by the inherited handler.

        Old clients send any string as the id of a new kernel, which gets a new id then.
        """
        body = super().get_json_body()
        kernel = body.get("kernel", {}) if body is not None else {}
        if not KERNEL_ID.fullmatch(kernel.get("id") or ""):
            kernel.pop("id", None)
        return body


class RemoteSessionHandler(CheckedHandler, SessionHandler):
    """``/api/sessions/<id>``."""

    body_schema = "JupyterSessionRequest"

    @web.authenticated
    @authorized
    async def patch(self, session_id: str) -> None:
        """Change a session's document or kernel, as jupyter_server's handler does.

        Except that the old kernel goes on running if another session uses it too.
        """
        sessions = self.session_manager
        if not isinstance(sessions, RemoteSessionManager):
            await super().patch(session_id)
            return
        body = self.get_json_body()
        if body is None:
            raise web.HTTPError(400, "No JSON data provided")
        changes: dict[str, Any] = {k: body[k] for k in ("path", "name", "type") if k in body}
        changes |= {"path": body["notebook"]["path"]} if "path" in body.get("notebook", {}) else {}
        kernel = body.get("kernel", {})
        if kernel.get("id") is not None:
            self.kernel_manager.report(kernel["id"], kernel.get("name"))
            if kernel["id"] not in self.kernel_manager:
                raise web.HTTPError(400, f"No such kernel: {kernel['id']}")
            model = await sessions.change_kernel(session_id, kernel_id=kernel["id"], **changes)
        elif kernel.get("name") is not None:
            try:
                model = await sessions.change_kernel(
                    session_id, kernel_name=kernel["name"], **changes
                )
            except KernelNotStarted as error:  # the session stays as it was
                self._not_started(kernel["name"], error.__cause__)
                return
        else:
            await sessions.update_session(session_id, **changes)
            model = await sessions.get_session(session_id=session_id)
        self.finish(json.dumps(model, default=json_default))

    def _not_started(self, name: str, error: BaseException | None) -> None:
        known = http_error_behind(error)
        reason = error_text(known) if known is not None else repr(str(error))
        message = f"The {name!r} kernel could not be started: {reason}"
        self.log.error("Error starting kernel %s: %s", name, reason)
        self.set_status(501)
        short = f"Error starting kernel {name}"
        kind = type(known).__name__ if known is not None else ""
        self.finish(json.dumps({"message": message, "short_message": short, "kind": kind}))
