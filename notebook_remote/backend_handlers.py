"""Our REST API for backends, and for our kernels on all of them: ``/notebook-remote/api``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Generator, Mapping
from dataclasses import asdict
from typing import Any, ClassVar, cast

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from tornado import web
from traitlets import TraitError

from .assembly import Assembly
from .backends import Backend
from .config import Gateway
from .doctor import DEFAULT_ORIGIN, examine
from .doctor_findings import Finding
from .exceptions import GatewayError, without_secrets
from .handlers import KERNEL, CheckedHandler
from .kernels import RemoteMappingKernelManager

Model = dict[str, Any]

# What a page may say of a gateway. Files of this computer are not for it to name.
OPTIONS: Mapping[str, type] = {
    "url": str,
    "mode": str,
    "auth_token": str,
    "auth_scheme": str,
    "http_user": str,
    "http_pwd": str,
    "validate_cert": bool,
}
CHANGED_IN_PLACE = ("auth_token", "auth_scheme", "http_user", "http_pwd")
PATIENCE = 3.0  # seconds for a gateway to say what it is
NAME = r"(?P<name>[\w.-]+)"


class OwnHandler(CheckedHandler):
    """What the handlers below share. ``assembly`` is made by the app with the routes."""

    auth_resource = "kernels"
    assembly: Assembly

    def initialize(self, assembly: Assembly) -> None:
        """Called by tornado with the route's arguments."""
        self.assembly = assembly

    def _backend(self, name: str) -> Backend:
        backend = self.assembly.backends.get(name)
        if backend is None:
            raise web.HTTPError(404, f"There is no backend {name!r}.")
        return backend

    def _body(self) -> Model:
        return self.get_json_body() or {}

    def _answer(self, model: Any, status: int = 200) -> None:
        self.set_status(status)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(model))


class ChangesHandler(OwnHandler):
    """Backends are changed only if the administrator allows it."""

    body: ClassVar[Mapping[str, type]] = {"name": str, **OPTIONS}

    def _check_allowed(self) -> None:
        if not self.assembly.changes_by_pages:
            raise web.HTTPError(
                403,
                "Gateways are added in the configuration here: the administrator has set"
                " Gateways.changes_by_pages to False.",
            )

    async def _save(self, backend: Backend, options: Model) -> Model:
        """Keep a gateway for later servers. One of the configuration is there anyway."""
        if not backend.config.from_page:
            return {"saved": True, "secrets_kept": True}
        kept = await asyncio.to_thread(self.assembly.saved.save, backend.name, options)
        return {"saved": kept.options, "secrets_kept": kept.secrets}

    def _options(self) -> Model:
        body = self._body()
        unknown = set(body) - {"name", *OPTIONS}
        if unknown:
            raise web.HTTPError(400, f"Not an option of a gateway here: {', '.join(unknown)}.")
        return {key: value for key, value in body.items() if key != "name"}


class BackendsHandler(ChangesHandler):
    """``backends``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Every backend, and how it is: asked now if that was not done within ``poll_interval``."""
        self._answer(await asyncio.gather(*map(backend_model, self.assembly.backends)))

    @web.authenticated
    @authorized("execute")
    async def post(self) -> None:
        """Add a gateway, for this server and later ones of this user."""
        self._check_allowed()
        name, options = str(self._body().get("name", "")), self._options()
        if self.assembly.backends.get(name) is not None:
            raise web.HTTPError(409, f"There is a backend {name!r} already: choose another name.")
        try:
            backend = self.assembly.add_named(name, options)
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
        """Change what proves us to a gateway, or the address of one that was added."""
        self._check_allowed()
        backend, options = self._backend(name), self._options()
        added = name in self.assembly.added
        fixed = set(options) - {*CHANGED_IN_PLACE, *(("url",) if added else ())}
        gateway = backend.gateway
        if gateway is None or backend.config.embedded or fixed:
            raise web.HTTPError(
                409,
                "Only the credentials of a gateway are changed while it is in use, and the URL of"
                " one that was added in a page: remove it and add it again.",
            )
        if "url" in options:
            try:
                backend = await self.assembly.move(name, options)
            except TraitError as error:
                raise web.HTTPError(400, without_secrets(str(error))) from None
            await asyncio.to_thread(self.assembly.saved.remove, name)
        else:
            for key, value in options.items():
                setattr(backend.config, key, value)
            if "auth_token" in options:
                await gateway.auth.enter_token(options["auth_token"])
            backend.renew()
        saved = {"saved": False, "secrets_kept": False}
        if name in self.assembly.added:
            self.assembly.added[name] |= options
            saved = await self._save(backend, self.assembly.added[name])
        self._answer({**await backend_model(backend), **saved})

    @web.authenticated
    @authorized("execute")
    async def delete(self, name: str) -> None:
        """Use a gateway no longer. With kernels on it only with ``?leave_kernels=1``."""
        self._check_allowed()
        backend = self._backend(name)
        if not backend.config.given_name:
            raise web.HTTPError(409, f"{name!r} is not one of the gateways that were added.")
        count = len(backend.kernels)
        if count and self.get_query_argument("leave_kernels", "0") != "1":
            raise web.HTTPError(
                409,
                f"There are {count} kernels of yours on {name!r}: shut them down first, or leave"
                " them running there.",
            )
        await self.assembly.remove(name)
        self.log.info("Gateway removed: %s", name)
        if not await asyncio.to_thread(self.assembly.saved.remove, name):
            message = f"The next server has {name!r} again: the list of gateways cannot be saved."
            self._answer({"saved": False, "message": message})
            return
        self.set_status(204)
        self.finish()


class ExaminingHandler(ChangesHandler):
    """What examines a gateway as ``jupyter notebook-remote doctor`` does."""

    _cancelled: threading.Event | None = None

    async def _examine(self, config: Gateway) -> None:
        if self.assembly.examining.locked():
            raise web.HTTPError(429, "A gateway is being examined: try again in some seconds.")
        origin = self.request.headers.get("Origin") or DEFAULT_ORIGIN
        self._cancelled = threading.Event()
        async with self.assembly.examining:
            findings = await asyncio.to_thread(_findings, config, origin, self._cancelled)
        self._answer([asdict(finding) for finding in findings])

    def on_connection_close(self) -> None:
        """Examine no further for a page that does not wait for it; called by tornado."""
        if self._cancelled is not None:
            self._cancelled.set()
        super().on_connection_close()


class ExaminationsHandler(ExaminingHandler):
    """``examinations``."""

    @web.authenticated
    @authorized("execute")
    async def post(self) -> None:
        """Examine a gateway before it is added."""
        self._check_allowed()
        name, options = str(self._body().get("name") or "new"), self._options()
        try:
            config = self.assembly.configure(name, options)
        except TraitError as error:
            raise web.HTTPError(400, without_secrets(str(error))) from None
        await self._examine(config)


class BackendExaminationsHandler(ExaminingHandler):
    """``backends/<name>/examinations``."""

    @web.authenticated
    @authorized("execute")
    async def post(self, name: str) -> None:
        """Examine a gateway that is there, with what proves us to it."""
        backend = self._backend(name)
        if backend.gateway is None or backend.config.embedded:
            raise web.HTTPError(409, f"{name!r} is no gateway that this server contacts.")
        await self._examine(backend.config)


def _findings(config: Gateway, origin: str, cancelled: threading.Event) -> list[Finding]:
    """Every finding; what is left to do is left out once nobody waits for it."""
    findings = []
    with contextlib.closing(cast("Generator[Finding]", examine(config, origin=origin))) as checks:
        for finding in checks:
            findings.append(finding)
            if cancelled.is_set():
                break
    return findings


class OurKernelsHandler(OwnHandler):
    """``kernels``."""

    body: ClassVar[Mapping[str, type]] = {"backend": str, "kernel_id": str}

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Our kernels on every backend, those that are being started too, with their sessions."""
        sessions = await ensure_async(self.session_manager.list_sessions())
        users: dict[str, list[Model]] = {}
        for session in sessions:
            user = {"id": session["id"], "path": session["path"]}
            users.setdefault(session["kernel"]["id"], []).append(user)
        backends = self.assembly.backends
        kernels = [m for backend in backends for m in await self._of(backend, users)]
        starts = [m for backend in self.assembly.backends for m in backend.starts()]
        self._answer({"kernels": kernels, "starts": starts})

    @web.authenticated
    @authorized("execute")
    async def post(self) -> None:
        """Adopt a kernel that runs on a gateway, by its id."""
        body = self._body()
        backend = self._backend(str(body.get("backend", "")))
        if backend.gateway is None or not isinstance(backend.kernels, RemoteMappingKernelManager):
            raise web.HTTPError(409, "Only kernels on a gateway are adopted.")
        kernel_id = str(body.get("kernel_id", ""))
        model = await backend.gateway.client.kernel(kernel_id)
        backend.kernels.adopt([model])
        self._answer(await self.kernel_manager.kernel_model(kernel_id), 201)

    async def _of(self, backend: Backend, users: dict[str, list[Model]]) -> list[Model]:
        kernels = backend.kernels
        models = []
        for kernel_id in kernels.list_kernel_ids():
            kept = backend.by_pages  # this server ends none there
            if isinstance(kernels, RemoteMappingKernelManager):
                kept = kernels.is_kept(kernel_id)
            kernel = await ensure_async(kernels.kernel_model(kernel_id))
            models.append(
                {
                    "id": kernel_id,
                    "name": kernel["name"],
                    "backend": backend.name,
                    "execution_state": "unknown" if backend.down else kernel["execution_state"],
                    "last_activity": kernel["last_activity"],
                    "on_exit": "keep" if kept else "shutdown",
                    "can_be_kept": backend.gateway is not None,
                    "sessions": users.get(kernel_id, []),
                }
            )
        return models


class OurKernelHandler(OwnHandler):
    """``kernels/<id>``."""

    body: ClassVar[Mapping[str, type]] = {"on_exit": str}

    @web.authenticated
    @authorized("execute")
    async def patch(self, kernel_id: str) -> None:
        """Choose what becomes of a kernel when this server stops."""
        on_exit = self._body().get("on_exit")
        if on_exit not in ("keep", "shutdown"):
            raise web.HTTPError(400, "on_exit is 'keep' or 'shutdown'.")
        backend = self.assembly.backends.of_kernel(kernel_id)
        if backend is None:
            raise web.HTTPError(404, f"There is no kernel {kernel_id}.")
        if not isinstance(backend.kernels, RemoteMappingKernelManager):
            raise web.HTTPError(409, "A kernel of this computer ends with this server.")
        backend.kernels.keep(kernel_id, on_exit == "keep")
        kept = backend.kernels.is_kept(kernel_id)
        self._answer({"id": kernel_id, "on_exit": "keep" if kept else "shutdown"})


class StartHandler(OwnHandler):
    """``starts/<id>``."""

    @web.authenticated
    @authorized("execute")
    async def delete(self, kernel_id: str) -> None:
        """Cancel the start of a kernel, for good: none is left on its gateway."""
        for backend in self.assembly.backends:
            kernels = backend.kernels
            if isinstance(kernels, RemoteMappingKernelManager) and kernel_id in kernels.starts:
                kernels.cancel_start(kernel_id)
                self.set_status(204)
                self.finish()
                return
        raise web.HTTPError(404, f"No kernel {kernel_id} is being started (any more).")


class BlockedWebSocketsHandler(OwnHandler):
    """``blocked-websockets``."""

    @web.authenticated
    @authorized("execute")
    async def post(self) -> None:
        """A page reports that its WebSockets do not get through to this server; logged once."""
        if not self.settings.get("blocked_websockets_logged"):
            self.settings["blocked_websockets_logged"] = True
            self.log.warning(
                "WebSockets of a page do not get through to this server, though its other requests"
                " do: a proxy in front of this server has to pass on their headers Upgrade and"
                " Connection, with HTTP/1.1 (docs/proxies.md)."
            )
        self.set_status(204)
        self.finish()


async def backend_model(backend: Backend) -> Model:
    """What people and programs are told of a backend: nothing secret.

    The state of one in browser mode is *unknown* here; pages know.
    """
    config, gateway = backend.config, backend.gateway
    model: Model = {
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
    if backend.by_pages:
        return {**model, "state": "unknown"}
    try:
        await asyncio.wait_for(backend.kernelspecs(), PATIENCE)
        if gateway is not None:
            kind, features = await asyncio.wait_for(
                asyncio.gather(gateway.kind(), gateway.features()), PATIENCE
            )
            model |= {"kind": kind, "features": sorted(features)}
        model["state"] = "up"
    except asyncio.TimeoutError:
        model |= {"state": "down", "error": f"No answer within {PATIENCE:g} s."}
    except GatewayError as error:
        model |= {"state": "down", "error": error.message}
    if backend.down is not None and gateway is not None:
        model |= {"state": "down", "error": backend.down.message, "since": gateway.down_since}
    model["kernelspecs"] = len(backend.specs.last_specs)
    return model


def routes(assembly: Assembly) -> list[tuple[str, type, Model]]:
    """The routes, relative to the server's base URL."""
    given = {"assembly": assembly}
    base = "/notebook-remote/api"
    return [
        (f"{base}/backends", BackendsHandler, given),
        (f"{base}/backends/{NAME}", BackendHandler, given),
        (f"{base}/backends/{NAME}/examinations", BackendExaminationsHandler, given),
        (f"{base}/examinations", ExaminationsHandler, given),
        (f"{base}/kernels", OurKernelsHandler, given),
        (f"{base}/kernels/{KERNEL}", OurKernelHandler, given),
        (f"{base}/starts/{KERNEL}", StartHandler, given),
        (f"{base}/blocked-websockets", BlockedWebSocketsHandler, given),
    ]
