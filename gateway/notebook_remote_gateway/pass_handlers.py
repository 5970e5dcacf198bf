"""REST for pages of other origins: passes, and the kernels that were started with a pass.

The routes are the add-on's own, so a pass opens none of the gateway's. The gateway's own handlers,
behind the mixin of this module, do the work.
"""

from __future__ import annotations

import inspect
import json
from contextlib import AsyncExitStack
from typing import Any

from tornado.web import HTTPError

from .base_handlers import NoCookiesMixin
from .cors import CorsMixin, CorsTokenMixin
from .exceptions import ApiError, CredentialRejected
from .passes import Pass
from .tickets import Identity
from .validation import SESSION_ID_RULE, is_session_id

AUTH_SCHEME = "nr-pass"
# The fields of a start request. Without kernel_id, which would hand over an existing kernel.
START_FIELDS = ("name", "path", "env")


class PassHandler(CorsTokenMixin):
    """``POST /api/notebook-remote/pass``: a pass for a page."""

    async def post(self) -> None:
        """Respond with a pass for the origin, and the scope if any, in the body."""
        body: dict[str, Any] = {}

        def audit(outcome: str) -> None:
            self.addon.audit("pass", outcome, "-", str(body.get("origin")), self.user_name)

        try:
            await self.authorize("execute", "kernels")
            body = self.json_body()
            origin = self.require_origin(body)
            if origin not in self.addon.settings.origins:
                raise ApiError(403, "origin", "This origin is not allowed.")
            if self.request.headers.get("Origin", origin) != origin:
                raise ApiError(403, "origin", "A page gets a pass for its own origin only.")
            scope = body.get("scope", "")
            if scope and not is_session_id(scope):
                raise ApiError(400, "bad-scope", f"'scope' {SESSION_ID_RULE}.")
            self.check_rate_limit()
        except HTTPError as error:
            audit(error.code if isinstance(error, ApiError) else str(error.status_code))
            raise
        audit("ok")
        identity = Identity(self.user_name, self.current_user)
        token = self.addon.passes.mint(origin, identity, scope)
        self.set_status(201)
        self.set_header("Cache-Control", "no-store")
        lifetime = self.addon.passes.lifetime
        self.finish({"pass": token, "scheme": AUTH_SCHEME, "expires_in": lifetime})


class PassAuthMixin(CorsMixin, NoCookiesMixin):
    """In front of a gateway's REST handler: a pass replaces the gateway's authentication."""

    check_host: Any  # the gateway's
    verified_pass: Pass

    async def prepare(self) -> None:
        """Verify the pass, and that the kernel belongs to it; called by tornado."""
        self.drop_arguments()
        self.current_user = self._jupyter_current_user = None
        if self.answer_preflight():
            return
        origin, kernel_id = self.request.headers.get("Origin"), self.path_kwargs.get("kernel_id")
        try:
            self.verified_pass = self._verify(origin)
        except CredentialRejected as rejection:
            self.addon.audit("show", rejection.reason, kernel_id or "-", origin, "")
            message = "A valid pass for this origin is required."
            raise ApiError(401, rejection.reason, message) from None
        identity = self.verified_pass.identity
        self.addon.gateway.set_user(self, identity.name, identity.user)
        if kernel_id is not None:
            # The response does not reveal whether another user's kernel exists.
            if not self.addon.passes.owns(self.verified_pass, kernel_id):
                raise ApiError(404, "not-found", "There is no kernel with this id.")
            self.addon.gateway.check_kernel(self.kernel_manager, kernel_id)

    def _verify(self, origin: str | None) -> Pass:
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != AUTH_SCHEME:
            raise CredentialRejected("no-pass")
        if not token.isascii():
            raise CredentialRejected("malformed")
        verified = self.addon.passes.verify(token, origin)
        if origin not in self.addon.settings.origins:
            raise CredentialRejected("wrong-origin")
        if not self.check_host():
            raise CredentialRejected("wrong-host")
        return verified


class PassKernelsHandler(PassAuthMixin):
    """``GET`` and ``POST /api/notebook-remote/kernels``: list and start the kernels of a pass."""

    async def get(self) -> None:
        """Respond with the models of the kernels that the pass owns."""
        await self.authorize("read", "kernels")
        models = []
        for kernel_id in self.addon.passes.kernel_ids(self.verified_pass):
            if kernel_id in self.kernel_manager:
                model = self.kernel_manager.kernel_model(kernel_id)
                models.append(await model if inspect.isawaitable(model) else model)
        self.finish(json.dumps(models, default=str))

    async def post(self) -> None:
        """Have the gateway start a kernel, whose id the client cannot choose."""
        body = {key: value for key, value in self.json_body().items() if key in START_FIELDS}
        env = body.get("env", {})
        if not isinstance(env, dict) or "KERNEL_ID" in env:
            raise ApiError(400, "bad-env", "'env' must be an object, without KERNEL_ID.")
        if not all(isinstance(body.get(key, ""), str) for key in ("name", "path")):
            raise ApiError(400, "bad-json", "'name' and 'path' must be strings.")
        self.request.body = json.dumps(body).encode()
        async with AsyncExitStack() as stack:
            if env:
                await stack.enter_async_context(self.addon.start_lock)
            await super().post()  # type: ignore[misc]  # the gateway's, a coroutine

    def finish(self, chunk: Any = None) -> Any:
        """Record the owner of a new kernel; called by the gateway's handler with the model."""
        if self.get_status() == 201:
            kernel_id = str(json.loads(chunk)["id"])
            manager = self.kernel_manager
            self.addon.passes.add_kernel(self.verified_pass, kernel_id, lambda k: k in manager)
            url = f"{self.request.path}/{kernel_id}"
            self.set_header("Location", url)
        return super().finish(chunk)


class PassTicketHandler(PassAuthMixin):
    """``POST /api/notebook-remote/kernels/<id>/channels/ticket``: a ticket for its channels."""

    async def post(self, kernel_id: str) -> None:
        """Respond with a ticket for the page's own origin and the session in the body."""
        origin, identity = self.verified_pass.origin, self.verified_pass.identity
        try:
            await self.authorize("execute", "kernels")
            session_id = self.require_session_id(self.json_body())
            self.check_rate_limit()
        except ApiError as error:
            self.addon.audit("mint", error.code, kernel_id, origin, identity.name)
            raise
        self.addon.audit("mint", "ok", kernel_id, origin, identity.name)
        self.send_ticket(kernel_id, origin, session_id, identity)
