"""jupyter_server's kernels, sessions and kernelspecs handlers, made safe against bad input.

They answer as the stock handlers do; the differences are that a malformed body is a 400 and never
a 500, that a gateway's error keeps its status and its sentence instead of becoming a bare 500,
and that one kernel's state is asked from the gateway and not from memory.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar

from jupyter_client.jsonutil import json_default
from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.services.contents.handlers import ContentsHandler
from jupyter_server.services.contents.handlers import default_handlers as CONTENTS  # noqa: N812
from jupyter_server.services.kernels.handlers import (
    KernelActionHandler,
    KernelHandler,
    MainKernelHandler,
)
from jupyter_server.services.kernelspecs.handlers import KernelSpecHandler, MainKernelSpecHandler
from jupyter_server.services.sessions.handlers import SessionHandler, SessionRootHandler
from tornado import web

from .documents import DocumentsHandler
from .exceptions import GatewayError, LeftToPages, http_error_behind, sentence_of
from .gateway_models import KERNEL_ID
from .kernel import RemoteKernelManager
from .places import on_this_computer, places
from .routing import RoutedKernelManager
from .sessions import KernelNotStarted, RemoteSessionManager

# Where each value of a body may stand, and what it must be. None is allowed everywhere, as in
# jupyter_server, where it means that the value was not given.
KERNEL_BODY = {"name": str, "path": str, "kernel_id": str, "env": dict}
SESSION_BODY = {"path": str, "name": str, "type": str, "kernel": dict, "notebook": dict}
INNER_BODY = {"kernel": {"name": str, "id": str}, "notebook": {"name": str, "path": str}}
PLACES_BODY = {"session_id": str}
LOGO_AGE = 30 * 24 * 60 * 60  # seconds a page may keep a logo, as in jupyter_server
TYPE_NAMES: Mapping[type, str] = {str: "a string", dict: "an object", bool: "true or false"}


def check_body(body: Any, allowed: Mapping[str, type]) -> None:
    """Raise a 400 that names the value of a JSON body which is not of the type it must be."""
    if not isinstance(body, dict):
        raise web.HTTPError(400, "The body of this request must be a JSON object.")
    for key, kind in allowed.items():
        value = body.get(key)
        if value is not None and not isinstance(value, kind):
            raise web.HTTPError(400, f"{key!r} in the body must be {TYPE_NAMES[kind]}.")
        if isinstance(value, str) and not value.isprintable() and not _is_text(value):
            raise web.HTTPError(400, f"{key!r} in the body is not valid Unicode.")
        if isinstance(value, dict) and key in INNER_BODY:
            check_body(value, INNER_BODY[key])
    kernel_id = body.get("kernel_id") if "kernel_id" in allowed else None
    if kernel_id is not None and not KERNEL_ID.fullmatch(kernel_id):
        raise web.HTTPError(400, "The id of a kernel must look like a UUID.")


def _is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8: JSON can carry halves of surrogate pairs."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class CheckedHandler(APIHandler):
    """Mixin for API handlers: bodies are checked, and a gateway's error is told as it is."""

    body: ClassVar[Mapping[str, type]] = {}

    async def prepare(self) -> None:
        """Authenticate, then wait for a gateway that is still starting; called by tornado."""
        await super().prepare()
        manager = self.kernel_manager
        if self.current_user is not None and isinstance(manager, RoutedKernelManager):
            await manager.backends.ready()

    def get_json_body(self) -> dict[str, Any] | None:
        """The request's JSON object, or None without a body; called by the stock handlers."""
        try:
            body = super().get_json_body()
        except UnicodeDecodeError:
            raise web.HTTPError(400, "The body of this request is not UTF-8.") from None
        if body is None and self.request.body.strip() == b"null":
            return None
        if body is not None:
            check_body(body, self.body)
        return {k: v for k, v in body.items() if v is not None} if body is not None else None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the error that a manager raised, and not the 500 that hides it.

        Called by tornado.
        """
        error = http_error_behind(kwargs.get("exc_info", (None, None))[1])
        if error is None:
            super().write_error(status_code, **kwargs)
            return
        self.set_status(error.status_code)
        model = {"message": sentence_of(error), "reason": error.reason}
        self.finish(json.dumps({**model, "kind": type(error).__name__}))

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """One line for a gateway's error, without a traceback; called by tornado."""
        error = http_error_behind(value)
        if isinstance(error, GatewayError):
            self.log.warning("%s %s: %s", self.request.method, self.request.path, error.message)
        else:
            super().log_exception(typ, value, tb)


class RemoteMainKernelHandler(CheckedHandler, MainKernelHandler):
    """``/api/kernels``."""

    body = KERNEL_BODY


class RemoteKernelHandler(CheckedHandler, KernelHandler):
    """``/api/kernels/<id>``."""

    @web.authenticated
    @authorized
    async def get(self, kernel_id: str) -> None:
        """The kernel's model as the gateway gives it now: 503 while it does not answer."""
        manager = self.kernel_manager
        if isinstance(manager, RoutedKernelManager):
            model = await manager.fresh_kernel_model(kernel_id)
        else:
            model = await ensure_async(manager.kernel_model(kernel_id))
        self.finish(json.dumps(model, default=json_default))

    @web.authenticated
    @authorized
    async def delete(self, kernel_id: str) -> None:
        """Shut a kernel down; one of browser mode only pages can. Raises LeftToPages."""
        manager = self.kernel_manager
        if isinstance(manager, RoutedKernelManager):
            backend = manager.backends.of_kernel(kernel_id)
            if backend is not None and backend.by_pages:
                raise LeftToPages
        await super().delete(kernel_id)


class RemoteKernelActionHandler(CheckedHandler, KernelActionHandler):
    """``/api/kernels/<id>/restart`` and ``/interrupt``."""

    @web.authenticated
    @authorized
    async def post(self, kernel_id: str, action: str) -> None:
        """Restart or interrupt a kernel, with the error that it has and not a bare 500."""
        manager = self.kernel_manager
        if action == "interrupt":
            await ensure_async(manager.interrupt_kernel(kernel_id))
            self.set_status(204)
            self.finish()
        else:
            try:
                await ensure_async(manager.restart_kernel(kernel_id))
            except web.HTTPError:
                raise
            except Exception as error:
                self.log.exception("Kernel %s could not be restarted", kernel_id)
                raise web.HTTPError(
                    500, f"The kernel could not be restarted ({error or type(error).__name__})."
                ) from error
            model = await ensure_async(manager.kernel_model(kernel_id))
            self.finish(json.dumps(model, default=json_default))


class RemoteSessionRootHandler(CheckedHandler, SessionRootHandler):
    """``/api/sessions``."""

    body = SESSION_BODY

    def get_json_body(self) -> dict[str, Any] | None:
        """The body without a kernel id that no kernel can have; called by the stock handler.

        Clients from before jupyter_server gave new kernels such ids send any, and get a new one.
        """
        body = super().get_json_body()
        kernel = body.get("kernel", {}) if body is not None else {}
        if not KERNEL_ID.fullmatch(kernel.get("id") or ""):
            kernel.pop("id", None)
        return body


class RemoteSessionHandler(CheckedHandler, SessionHandler):
    """``/api/sessions/<id>``."""

    body = SESSION_BODY

    @web.authenticated
    @authorized
    async def patch(self, session_id: str) -> None:
        """Change a session's document or kernel, as the stock handler does.

        Except that the kernel it had goes on running if another session has it too.
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
            except KernelNotStarted as error:  # whatever it is, the session stays
                self._not_started(kernel["name"], error.__cause__)
                return
        else:
            await sessions.update_session(session_id, **changes)
            model = await sessions.get_session(session_id=session_id)
        self.finish(json.dumps(model, default=json_default))

    def _not_started(self, name: str, error: BaseException | None) -> None:
        known = http_error_behind(error)
        words = sentence_of(known) if known is not None else repr(str(error))
        message = f"The {name!r} kernel could not be started: {words}"
        self.log.error("Error starting kernel %s: %s", name, words)
        self.set_status(501)
        short = f"Error starting kernel {name}"
        kind = type(known).__name__ if known is not None else ""
        self.finish(json.dumps({"message": message, "short_message": short, "kind": kind}))


class RemoteMainKernelSpecHandler(CheckedHandler, MainKernelSpecHandler):
    """``/api/kernelspecs``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The kernelspecs and, known only after them, the default one."""
        specs = await self.kernel_spec_manager.get_all_specs()
        default = self.kernel_manager.default_kernel_name
        self.finish(json.dumps({"default": default, "kernelspecs": specs}))


class RemoteKernelSpecHandler(CheckedHandler, KernelSpecHandler):
    """``/api/kernelspecs/<name>``."""


class RemoteKernelSpecResourceHandler(CheckedHandler):
    """``/kernelspecs/<name>/<file>``: the logos.

    Its content security policy is that of the API, so a file of a hostile gateway runs nothing.
    """

    auth_resource = "kernelspecs"

    @web.authenticated
    @authorized
    async def get(self, kernel_name: str, path: str) -> None:
        """The file's content as the gateway gives it."""
        await self._send(kernel_name, path)

    async def _send(self, kernel_name: str, path: str) -> None:
        try:
            content = await self.kernel_spec_manager.get_kernel_spec_resource(kernel_name, path)
        except KeyError:  # NoSuchKernel
            content = None
        if content is None:
            raise web.HTTPError(404, f"The kernelspec {kernel_name!r} has no file {path!r}.")
        if path.lower().endswith(".png"):
            self.set_header("Cache-Control", f"max-age={LOGO_AGE}")
        kind = mimetypes.guess_type(path)[0] or "text/plain"
        self.finish(content, set_content_type=kind)

    @web.authenticated
    @authorized
    async def head(self, kernel_name: str, path: str) -> None:
        """The same without the content, which tornado leaves out."""
        await self._send(kernel_name, path)


class KernelUsageHandler(CheckedHandler):
    """The route of jupyter-resource-usage, for kernels on gateways.

    Its own handler looks at ZeroMQ's sockets, which there are none of here, once every few seconds.
    """

    auth_resource = "kernels"

    @web.authenticated
    @authorized
    async def get(self, kernel_id: str) -> None:
        """A quiet no, in its words."""
        content = {"reason": "not_supported", "kernel_version": None}
        self.finish(json.dumps({"content": content, "kernel_id": kernel_id}))


class LinksHandler(CheckedHandler):
    """``/notebook-remote/api/links``."""

    auth_resource = "kernels"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Every link between a page and a kernel on a gateway, and what is known of it."""
        gateways = self.kernel_manager.backends.gateways()
        links = [link for gateway in gateways for link in gateway.links.models()]
        self.finish(json.dumps(links))


class PlacesHandler(CheckedHandler):
    """``/notebook-remote/api/kernels/<id>/channels``."""

    auth_resource = "kernels"
    body = PLACES_BODY

    @web.authenticated
    @authorized("execute")
    async def post(self, kernel_id: str) -> None:
        """Where the kernel's channels are, for a page that is about to connect."""
        kernel = self.kernel_manager.get_kernel(kernel_id)
        body = self.get_json_body() or {}
        # Checked by now, as for every request of a page: ours, or one that was configured.
        origin = self.request.headers.get("Origin", "")
        relay = f"{self.base_url}api/kernels/{kernel_id}/channels"
        session_id = body.get("session_id", "")
        if isinstance(kernel, RemoteKernelManager):
            model = await places(kernel.backend, kernel_id, session_id, origin, relay)
        else:
            model = on_this_computer(session_id, relay)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(model))


KERNEL = r"(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)"
SESSION = r"(?P<session_id>\w+-\w+-\w+-\w+-\w+)"
SPEC = r"(?P<kernel_name>[\w\.\-%@]+)"

# Routes for every mode.
CHECKED = [
    (r"/api/kernels", RemoteMainKernelHandler),
    (rf"/api/kernels/{KERNEL}", RemoteKernelHandler),
    (rf"/api/kernels/{KERNEL}/(?P<action>restart|interrupt)", RemoteKernelActionHandler),
    (r"/api/sessions", RemoteSessionRootHandler),
    (rf"/api/sessions/{SESSION}", RemoteSessionHandler),
]
USAGE = rf"/api/metrics/v1/kernel_usage/get_usage/{KERNEL}"
CHANNELS = rf"/api/kernels/{KERNEL}/channels"
# Routes for kernels of several backends.
ROUTED = [
    # All of them, since the more particular ones come first.
    *(
        (pattern, DocumentsHandler if stock is ContentsHandler else stock)
        for pattern, stock in CONTENTS
        if pattern.startswith("/api/contents")
    ),
    (rf"/notebook-remote/api/kernels/{KERNEL}/channels", PlacesHandler),
    (r"/notebook-remote/api/links", LinksHandler),
]
# Routes for kernelspecs of a gateway.
KERNELSPECS = [
    (r"/api/kernelspecs", RemoteMainKernelSpecHandler),
    (rf"/api/kernelspecs/{SPEC}", RemoteKernelSpecHandler),
    (rf"/kernelspecs/{SPEC}/(?P<path>.*)", RemoteKernelSpecResourceHandler),
]
