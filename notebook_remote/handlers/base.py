"""Base class of all handlers: checks bodies and answers with errors in one way."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, ClassVar

from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado import web

from ..exceptions import GatewayError, causes
from ..redaction import without_secrets
from ..services.kernel_manager import RoutedKernelManager
from .bodies import check_body


def http_error_behind(error: BaseException | None) -> web.HTTPError | None:
    """The HTTP error in a chain of causes, where jupyter_server hides it behind a 500.

    Its handlers turn whatever a manager raises on a start or a restart into a bare 500.
    """
    errors = [e for e in causes(error) if isinstance(e, web.HTTPError)]
    if errors and errors[0] is error and errors[0].status_code != 500:
        return errors[0]
    return next((e for e in errors if e.status_code != 500), None)


def error_text(error: web.HTTPError) -> str:
    """The message of an error, for people."""
    if isinstance(error, GatewayError):
        return error.message
    return (error.log_message or error.reason or "") % error.args


class RedactedLog(JupyterHandler):
    """Mixin for handlers: what tornado logs about a refused request has no tokens in it."""

    def _request_summary(self) -> str:
        return without_secrets(str(super()._request_summary()))


class CheckedHandler(RedactedLog, APIHandler):
    """Mixin for API handlers: checks bodies, and answers with the error of a gateway."""

    body_schema: ClassVar[str | None] = None  # of request bodies, in openapi.yaml

    async def prepare(self) -> None:
        """Authenticate, then wait until all backends are ready; called by tornado."""
        await super().prepare()
        manager = self.kernel_manager
        if self.current_user is not None and isinstance(manager, RoutedKernelManager):
            await manager.backends.ready()

    def get_json_body(self) -> dict[str, Any] | None:
        """The request's JSON object, or None without a body; called by the inherited handlers."""
        try:
            body = super().get_json_body()
        except UnicodeDecodeError:
            raise web.HTTPError(400, "The body of this request is not UTF-8.") from None
        if body is None and self.request.body.strip() == b"null":
            return None
        return check_body(body, self.body_schema) if body is not None else None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the error that a manager raised, not the 500 around it; called by tornado."""
        error = http_error_behind(kwargs.get("exc_info", (None, None))[1])
        if error is None:
            super().write_error(status_code, **kwargs)
            return
        self.set_status(error.status_code)
        model = {"message": error_text(error), "reason": error.reason}
        self.finish(json.dumps({**model, "kind": type(error).__name__}))

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log a gateway's error in one line, without a traceback; called by tornado."""
        error = http_error_behind(value)
        if isinstance(error, GatewayError):
            self.log.warning("%s %s: %s", self.request.method, self.request.path, error.message)
        else:
            super().log_exception(typ, value, tb)
