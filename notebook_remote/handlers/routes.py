"""Every URL of ours, and the handler that answers it."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from jupyter_server.services.contents.handlers import ContentsHandler
from jupyter_server.services.contents.handlers import default_handlers as CONTENTS  # noqa: N812
from tornado import web

from ..backends.manager import BackendManager
from ..types import JsonObject
from .api import ApiHandler
from .backends import BackendHandler, BackendsHandler
from .contents import DocumentsHandler
from .endpoints import EndpointsHandler
from .examinations import BackendExaminationsHandler, ExaminationsHandler
from .kernels import (
    LinksHandler,
    RemoteKernelActionHandler,
    RemoteKernelHandler,
    RemoteMainKernelHandler,
)
from .kernelspecs import (
    RemoteKernelSpecHandler,
    RemoteKernelSpecResourceHandler,
    RemoteMainKernelSpecHandler,
)
from .own_kernels import KernelHandler, KernelsHandler, StartHandler
from .sessions import RemoteSessionHandler, RemoteSessionRootHandler

NAME = r"(?P<name>[\w.-]+)"  # of a backend
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
# Routes for a server with backends.
ROUTED = [
    # All contents routes, since their order decides which one matches.
    *(
        (pattern, DocumentsHandler if stock is ContentsHandler else stock)
        for pattern, stock in CONTENTS
        if pattern.startswith("/api/contents")
    ),
    (rf"/notebook-remote/api/kernels/{KERNEL}/channels", EndpointsHandler),
    (r"/notebook-remote/api/links", LinksHandler),
]
# Routes for kernelspecs of a gateway.
KERNELSPECS = [
    (r"/api/kernelspecs", RemoteMainKernelSpecHandler),
    (rf"/api/kernelspecs/{SPEC}", RemoteKernelSpecHandler),
    (rf"/kernelspecs/{SPEC}/(?P<path>.*)", RemoteKernelSpecResourceHandler),
]


class BlockedWebSocketsHandler(ApiHandler):
    """``blocked-websockets``."""

    @web.authenticated
    @authorized("execute")
    async def post(self) -> None:
        """A page reports that its WebSockets do not get through to this server: log it once."""
        if not self.settings.get("blocked_websockets_logged"):
            self.settings["blocked_websockets_logged"] = True
            self.log.warning(
                "WebSockets of a page do not get through to this server, though its other requests"
                " do: a proxy in front of this server has to pass on their headers Upgrade and"
                " Connection, with HTTP/1.1 (docs/proxies.md)."
            )
        self.set_status(204)
        self.finish()


def routes(backend_manager: BackendManager) -> list[tuple[str, type, JsonObject]]:
    """The routes of our REST API, relative to the server's base URL."""
    arguments = {"backend_manager": backend_manager}
    base = "/notebook-remote/api"
    return [
        (f"{base}/backends", BackendsHandler, arguments),
        (f"{base}/backends/{NAME}", BackendHandler, arguments),
        (f"{base}/backends/{NAME}/examinations", BackendExaminationsHandler, arguments),
        (f"{base}/examinations", ExaminationsHandler, arguments),
        (f"{base}/kernels", KernelsHandler, arguments),
        (f"{base}/kernels/{KERNEL}", KernelHandler, arguments),
        (f"{base}/starts/{KERNEL}", StartHandler, arguments),
        (f"{base}/blocked-websockets", BlockedWebSocketsHandler, arguments),
    ]
