"""Our REST API for backends: ``/notebook-remote/api/backends``."""

from __future__ import annotations

import asyncio

from jupyter_server.auth.decorator import authorized
from tornado import web
from traitlets import TraitError

from ..backends.base import Backend
from ..redaction import without_secrets
from ..types import JsonObject
from .api import ChangesHandler

CHANGED_IN_PLACE = ("auth_token", "auth_scheme", "http_user", "http_pwd")
STATUS_TIMEOUT = 3.0  # seconds to wait for a gateway's status


class BackendsHandler(ChangesHandler):
    """``backends``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Every backend with its status, which is at most ``poll_interval`` old."""
        self._answer(await asyncio.gather(*map(backend_model, self.backend_manager.backends)))

    @web.authenticated
    @authorized("execute")
    async def post(self) -> None:
        """Add a gateway, for this server and later ones of this user."""
        self._check_allowed()
        name, options = str(self._body().get("name", "")), self._options()
        if self.backend_manager.backends.get(name) is not None:
            raise web.HTTPError(409, f"There is a backend {name!r} already: choose another name.")
        try:
            backend = self.backend_manager.add_named(name, options)
        except TraitError as error:
            raise web.HTTPError(400, without_secrets(str(error))) from None
        saved = await self._save(backend, options)
        self.log.info("Gateway added: %s at %s", name, backend.config.url)
        self._answer({**await backend_model(backend), **saved}, 201)


class BackendHandler(ChangesHandler):
    """``backends/<name>``."""

    @web.authenticated
    @authorized("execute")
    async def patch(self, name: str) -> None:
        """Change the credentials of a gateway, or the address of one that was added in a page."""
        self._check_allowed()
        backend, options = self._backend(name), self._options()
        added = name in self.backend_manager.added
        fixed = set(options) - {*CHANGED_IN_PLACE, *(("url",) if added else ())}
        if fixed or not backend.can_be_examined:
            raise web.HTTPError(
                409,
                "Only the credentials of a gateway are changed while it is in use, and the URL of"
                " one that was added in a page: remove it and add it again.",
            )
        if "url" in options:
            try:
                backend = await self.backend_manager.change_address(name, options)
            except TraitError as error:
                raise web.HTTPError(400, without_secrets(str(error))) from None
            await asyncio.to_thread(self.backend_manager.saved.remove, name)
        else:
            await backend.set_credentials(options)
        saved = {"saved": False, "secrets_kept": False}
        if name in self.backend_manager.added:
            self.backend_manager.added[name] |= options
            saved = await self._save(backend, self.backend_manager.added[name])
        self._answer({**await backend_model(backend), **saved})

    @web.authenticated
    @authorized("execute")
    async def delete(self, name: str) -> None:
        """Remove a gateway. One that has kernels only with ``?leave_kernels=1``."""
        self._check_allowed()
        backend = self._backend(name)
        if not backend.config.given_name:
            raise web.HTTPError(409, f"{name!r} is not one of the gateways that were added.")
        count = len(backend.kernels)
        if count and self.get_query_argument("leave_kernels", "0") != "1":
            raise web.HTTPError(
                409,
                f"Kernels of yours run on {name!r} ({count}): shut them down first, or leave them"
                " running there.",
            )
        await self.backend_manager.remove(name)
        self.log.info("Gateway removed: %s", name)
        if not await asyncio.to_thread(self.backend_manager.saved.remove, name):
            message = f"The next server has {name!r} again: the list of gateways cannot be saved."
            self._answer({"saved": False, "message": message})
            return
        self.set_status(204)
        self.finish()


async def backend_model(backend: Backend) -> JsonObject:
    """A backend as our REST API shows it, without secrets.

    The state of a backend in browser mode is *unknown*: only pages contact it.
    """
    config = backend.config
    model: JsonObject = {
        "name": backend.name,
        "label": backend.label,
        "mode": config.mode,
        "url": "" if config.mode == "local" or config.embedded else without_secrets(config.url),
        "kind": "local" if config.mode == "local" else "",
        "features": [],
        "added": bool(config.given_name),
        "kernels": len(backend.kernels),
        "kernelspecs": 0,
        "error": None,
    }
    model |= await backend.status(STATUS_TIMEOUT)
    model["kernelspecs"] = len(backend.specs.last_specs)
    return model
