"""Base classes of the handlers of our own REST API, ``/notebook-remote/api``."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tornado import web

from ..backends.base import Backend
from ..backends.manager import BackendManager
from ..types import JsonObject
from .base import CheckedHandler


class ApiHandler(CheckedHandler):
    """Base of the handlers of our own routes. The app makes ``backend_manager``."""

    auth_resource = "kernels"
    backend_manager: BackendManager

    def initialize(self, backend_manager: BackendManager) -> None:
        """Called by tornado with the route's arguments."""
        self.backend_manager = backend_manager

    def _backend(self, name: str) -> Backend:
        backend = self.backend_manager.backends.get(name)
        if backend is None:
            raise web.HTTPError(404, f"There is no backend {name!r}.")
        return backend

    def _body(self) -> JsonObject:
        return self.get_json_body() or {}

    def _answer(self, model: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(model))


class ChangesHandler(ApiHandler):
    """Base of the handlers that change backends, if the administrator allows that."""

    # Without options that name files: pages must not choose files of this computer.
    body_schema = "GatewayOptions"

    def _check_allowed(self) -> None:
        if not self.backend_manager.changes_by_pages:
            raise web.HTTPError(
                403,
                "Gateways are added in the configuration here: the administrator has set"
                " Gateways.changes_by_pages to False.",
            )

    async def _save(self, backend: Backend, options: JsonObject) -> JsonObject:
        """Save an added gateway for later servers, which have a configured one in any case."""
        if not backend.config.from_page:
            return {"saved": True, "secrets_kept": True}
        result = await asyncio.to_thread(self.backend_manager.saved.save, backend.name, options)
        return {"saved": result.options, "secrets_kept": result.secrets}

    def _options(self) -> JsonObject:
        return {key: value for key, value in self._body().items() if key != "name"}
