"""REST for pages of other origins: passes, and the kernels that were started with one.

The routes are our own, so that nothing of the gateway's is opened; what they do is done by its own
handlers. We answer the browser's questions about cross-origin requests (CORS) ourselves, for the
origins in ``NOTEBOOK_REMOTE_ALLOWED_ORIGINS`` and no others. Cookies play no part in it.
"""

from __future__ import annotations

import inspect
import json
from contextlib import AsyncExitStack
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.web import Application, HTTPError

from ._version import __version__
from .exceptions import Refused
from .passes import Pass
from .ticket_handlers import Answers, ByTokenInHeader, Problem
from .tickets import Holder
from .validation import ID_RULE, is_session_id

SCHEME = "nr-pass"
PREFLIGHT = {
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Max-Age": "600",  # seconds
}
START_KEYS = ("name", "path", "env")  # not kernel_id: an existing one would be handed over


class ForPages(Answers):
    """Tells the browser which pages may ask; answers its question before a request."""

    def set_default_headers(self) -> None:
        """Called by tornado for each answer, errors as well."""
        super().set_default_headers()
        for name in [n for n, _ in self._headers.get_all() if n.startswith("Access-Control-")]:
            self.clear_header(name)
        self.set_header("Vary", "Origin")
        origin = self.request.headers.get("Origin", "")
        if origin in self.addon.settings.origins:
            self.set_header("Access-Control-Allow-Origin", origin)

    def set_cors_headers(self) -> None:
        """Leave it at that; called by the gateway, once it knows the user."""

    def check_trusted_origin(self, origin: str) -> bool:
        """Whether tornado lets a page of another origin ask; called by it where it is told to."""
        return origin in self.addon.settings.origins

    def is_preflight(self) -> bool:
        """Answer a browser's question whether a page may ask, and return whether it was one."""
        if self.request.method != "OPTIONS":
            return False
        if self.request.headers.get("Origin") not in self.addon.settings.origins:
            raise Problem(403, "origin", "This origin is none of the allowed ones.")
        for name, value in PREFLIGHT.items():
            self.set_header(name, value)
        self.set_status(204)
        self.finish()
        return True


class ByTokenForPages(ForPages, ByTokenInHeader):
    """For servers, and for pages whose user has given them the gateway's token."""

    async def prepare(self) -> None:
        """Called by tornado before the request is handled."""
        if not self.is_preflight():
            await super().prepare()

    def check_origin(self, *args: Any) -> bool:
        """Whether it is no page that asks, or one of an allowed origin."""
        origin = self.request.headers.get("Origin")
        return origin is None or origin in self.addon.settings.origins


class ProbeHandler(ByTokenForPages):
    """``GET /api/notebook-remote``: whether the add-on is here, and what it can do."""

    async def get(self) -> None:
        """Answer with version, kind and features."""
        await self.permit("read", "api")
        features = ["tickets", *(["passes"] if self.addon.settings.origins else [])]
        kind = self.addon.kind.name
        self.finish({"version": __version__, "kind": kind, "features": features})


class PassHandler(ByTokenForPages):
    """``POST /api/notebook-remote/pass``: a pass for a page."""

    async def post(self) -> None:
        """Answer with a pass; the body says for which origin, and perhaps which scope."""
        body: dict[str, Any] = {}

        def audit(outcome: str) -> None:
            self.addon.audit("pass", outcome, "-", str(body.get("origin")), self.user_name)

        try:
            await self.permit("execute", "kernels")
            body = self.body()
            origin = self.origin_in(body)
            if origin not in self.addon.settings.origins:
                raise Problem(403, "origin", "This origin is none of the allowed ones.")
            if self.request.headers.get("Origin", origin) != origin:
                raise Problem(403, "origin", "A page gets a pass for its own origin only.")
            scope = body.get("scope", "")
            if scope and not is_session_id(scope):
                raise Problem(400, "bad-scope", f"'scope' {ID_RULE}.")
            self.ration()
        except HTTPError as error:
            audit(error.code if isinstance(error, Problem) else str(error.status_code))
            raise
        audit("ok")
        made = self.addon.passes.mint(origin, Holder(self.user_name, self.current_user), scope)
        self.set_status(201)
        self.set_header("Cache-Control", "no-store")
        lifetime = self.addon.passes.lifetime
        self.finish({"pass": made, "scheme": SCHEME, "expires_in": lifetime})


class ByPass(ForPages):
    """In front of a gateway's REST handler, whose own authentication is not asked."""

    check_host: Any  # the gateway's
    shown: Pass

    def __init__(self, application: Application, request: HTTPServerRequest, **kw: Any) -> None:
        if "Cookie" in request.headers:
            del request.headers["Cookie"]
        request.uri, request.query = request.path, ""
        super().__init__(application, request, **kw)

    async def prepare(self) -> None:
        """Check the pass, and that the kernel is one of its own; called by tornado."""
        for arguments in ("arguments", "query_arguments", "body_arguments"):
            setattr(self.request, arguments, {})
        self.current_user = self._jupyter_current_user = None
        if self.is_preflight():
            return
        origin, kernel_id = self.request.headers.get("Origin"), self.path_kwargs.get("kernel_id")
        try:
            self.shown = self._check(origin)
        except Refused as refusal:
            self.addon.audit("show", refusal.reason, kernel_id or "-", origin, "")
            raise Problem(401, refusal.reason, "A good pass of this origin is needed.") from None
        self.addon.kind.enter(self, self.shown.holder.name, self.shown.holder.user)
        if kernel_id is not None:
            # Whether somebody else's kernel exists is nobody's business.
            if not self.addon.passes.owns(self.shown, kernel_id):
                raise Problem(404, "not-found", "There is no kernel of this id.")
            self.addon.kind.check_kernel(self.kernel_manager, kernel_id)

    def _check(self, origin: str | None) -> Pass:
        scheme, _, sealed = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME:
            raise Refused("no-pass")
        if not sealed.isascii():
            raise Refused("malformed")
        shown = self.addon.passes.check(sealed, origin)
        if origin not in self.addon.settings.origins:
            raise Refused("wrong-origin")
        if not self.check_host():
            raise Refused("wrong-host")
        return shown

    def check_xsrf_cookie(self) -> None:
        """There is no cookie that a page could make use of; called by the gateway or tornado."""

    def set_cookie(self, *args: Any, **kwargs: Any) -> None:
        """Set none."""


class PassKernelsHandler(ByPass):
    """``GET`` and ``POST /api/notebook-remote/kernels``: the kernels of a pass, and a new one."""

    async def get(self) -> None:
        """Answer with the models of the kernels that were started with this pass."""
        await self.permit("read", "kernels")
        models = []
        for kernel_id in self.addon.passes.kernels(self.shown):
            if kernel_id in self.kernel_manager:
                model = self.kernel_manager.kernel_model(kernel_id)
                models.append(await model if inspect.isawaitable(model) else model)
        self.finish(json.dumps(models, default=str))

    async def post(self) -> None:
        """Start a kernel, as the gateway does; what would name an existing one is refused."""
        body = {key: value for key, value in self.body().items() if key in START_KEYS}
        env = body.get("env", {})
        if not isinstance(env, dict) or "KERNEL_ID" in env:
            raise Problem(400, "bad-env", "'env' has to be an object, without KERNEL_ID.")
        if not all(isinstance(body.get(key, ""), str) for key in ("name", "path")):
            raise Problem(400, "bad-json", "'name' and 'path' have to be strings.")
        self.request.body = json.dumps(body).encode()
        async with AsyncExitStack() as stack:
            if env:
                await stack.enter_async_context(self.addon.start_lock)
            await super().post()  # type: ignore[misc]  # the gateway's, a coroutine

    def finish(self, chunk: Any = None) -> Any:
        """Note whose the new kernel is; called by the gateway's handler with its model."""
        if self.get_status() == 201:
            kernel_id = str(json.loads(chunk)["id"])
            manager = self.kernel_manager
            self.addon.passes.started(self.shown, kernel_id, lambda k: k in manager)
            url = f"{self.request.path}/{kernel_id}"
            self.set_header("Location", url)
        return super().finish(chunk)


class PassHandlerOfGateway(ByPass):
    """The gateway's own handler for everything else."""


class PassTicketHandler(ByPass):
    """``POST /api/notebook-remote/kernels/<id>/channels/ticket``: a ticket for its channels."""

    async def post(self, kernel_id: str) -> None:
        """Answer with a ticket for the page's own origin; the body says for which session."""
        origin, name = self.shown.origin, self.shown.holder.name
        try:
            await self.permit("execute", "kernels")
            session_id = self.session_in(self.body())
            self.ration()
        except Problem as problem:
            self.addon.audit("mint", problem.code, kernel_id, origin, name)
            raise
        self.addon.audit("mint", "ok", kernel_id, origin, name)
        self.send_ticket(kernel_id, origin, session_id, self.shown.holder)
