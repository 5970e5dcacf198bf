"""The doctor in the page: ``/notebook-remote/api/…/examinations``."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Generator
from dataclasses import asdict
from typing import cast

from jupyter_server.auth.decorator import authorized
from tornado import web
from traitlets import TraitError

from ..config.gateway import Gateway
from ..doctor.examination import DEFAULT_ORIGIN, examine
from ..doctor.findings import Finding
from ..redaction import without_secrets
from .api import ChangesHandler


class ExamineHandler(ChangesHandler):
    """Base of the handlers that examine a gateway, as ``jupyter notebook-remote doctor`` does."""

    _cancelled: threading.Event | None = None

    async def _examine(self, config: Gateway) -> None:
        if self.backend_manager.examining.locked():
            raise web.HTTPError(429, "A gateway is being examined: try again in some seconds.")
        origin = self.request.headers.get("Origin") or DEFAULT_ORIGIN
        self._cancelled = threading.Event()
        async with self.backend_manager.examining:
            findings = await asyncio.to_thread(_findings, config, origin, self._cancelled)
        self._answer([asdict(finding) for finding in findings])

    def on_connection_close(self) -> None:
        """Stop the examination when the page has left; called by tornado."""
        if self._cancelled is not None:
            self._cancelled.set()
        super().on_connection_close()


class ExaminationsHandler(ExamineHandler):
    """``examinations``."""

    @web.authenticated
    @authorized("execute")
    async def post(self) -> None:
        """Examine a gateway before it is added."""
        self._check_allowed()
        name, options = str(self._body().get("name") or "new"), self._options()
        try:
            config = self.backend_manager.configure(name, options)
        except TraitError as error:
            raise web.HTTPError(400, without_secrets(str(error))) from None
        await self._examine(config)


class BackendExaminationsHandler(ExamineHandler):
    """``backends/<name>/examinations``."""

    @web.authenticated
    @authorized("execute")
    async def post(self, name: str) -> None:
        """Examine a gateway that is in use, with its current credentials."""
        backend = self._backend(name)
        if not backend.can_be_examined:
            raise web.HTTPError(409, f"{name!r} is no gateway that this server contacts.")
        await self._examine(backend.config.with_credentials(backend.credentials()))


def _findings(config: Gateway, origin: str, cancelled: threading.Event) -> list[Finding]:
    """All findings; the remaining checks are skipped once the request is cancelled."""
    findings = []
    with contextlib.closing(cast("Generator[Finding]", examine(config, origin=origin))) as checks:
        for finding in checks:
            findings.append(finding)
            if cancelled.is_set():
                break
    return findings
