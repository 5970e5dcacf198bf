"""The endpoints of a kernel's channels: the gateway itself, with a ticket, and our relay."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode, urlsplit

from jupyter_server.auth.decorator import authorized
from tornado import web

from ..backends.remote.gateway import ManagedGateway
from ..backends.remote.kernel_manager import RemoteKernelManager
from ..client.messages import V1
from ..exceptions import GatewayAnswerError, GatewayLimitReached
from ..types import JsonObject
from .base import CheckedHandler


class EndpointsHandler(CheckedHandler):
    """``/notebook-remote/api/kernels/<id>/channels``."""

    auth_resource = "kernels"
    body_schema = "PageSession"

    @web.authenticated
    @authorized("execute")
    async def post(self, kernel_id: str) -> None:
        """The endpoints of the kernel's channels, for a page that is about to connect."""
        kernel = self.kernel_manager.get_kernel(kernel_id)
        body = self.get_json_body() or {}
        # It was checked, as for every request: our own origin, or a configured one.
        origin = self.request.headers.get("Origin", "")
        relay = f"{self.base_url}api/kernels/{kernel_id}/channels"
        session_id = body.get("session_id", "")
        if isinstance(kernel, RemoteKernelManager):
            model = await endpoints(kernel.gateway, kernel_id, session_id, origin, relay)
        else:
            model = local_endpoints(session_id, relay)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(model))


SESSION_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")  # as the add-on accepts it


class DirectUnavailable(Exception):
    """A page cannot connect to the gateway itself; the message says why."""


async def endpoints(
    gateway: ManagedGateway, kernel_id: str, session_id: str, origin: str, relay: str
) -> JsonObject:
    """The endpoints, best first; called for each connection of a page.

    ``origin`` is that of the page, the only one that may use the ticket; ``relay`` is the path of
    our own channels route. Raises KernelNotFound, and GatewayError while the gateway cannot be
    asked.
    """
    model: JsonObject = {
        "backend": gateway.links.backend,
        "mode": gateway.config.mode,
        "places": [],
    }
    if gateway.config.mode == "direct":
        try:
            model["places"].append(await _direct_endpoint(gateway, kernel_id, session_id, origin))
        except DirectUnavailable as error:
            model["why"] = str(error)
    model["places"].append(_relay_endpoint(session_id, relay))
    return model


def local_endpoints(session_id: str, relay: str) -> JsonObject:
    """The endpoints of a kernel of this computer: only our own route."""
    return {"backend": "local", "mode": "local", "places": [_relay_endpoint(session_id, relay)]}


def _relay_endpoint(session_id: str, relay: str) -> JsonObject:
    query = "?" + urlencode({"session_id": session_id}) if session_id else ""
    return {"kind": "relay", "url": relay + query, "protocols": [V1]}


async def _direct_endpoint(
    gateway: ManagedGateway, kernel_id: str, session_id: str, origin: str
) -> JsonObject:
    config = gateway.config
    if not SESSION_ID.fullmatch(session_id) or not origin:
        raise DirectUnavailable(
            "Only a page that says its origin and session connects to the gateway."
        )
    credentials, expires_in = await _credentials(gateway, kernel_id, session_id, origin)
    query = urlencode({"session_id": session_id, **credentials})
    endpoint: JsonObject = {
        "kind": "direct",
        "base": "http" + gateway.address.page_url.removeprefix("ws"),
        "url": f"{gateway.address.page_url}{config.kernels_endpoint}/{kernel_id}/channels?{query}",
        "protocols": [V1],
    }
    return endpoint if expires_in is None else {**endpoint, "expires_in": expires_in}


async def _credentials(
    gateway: ManagedGateway, kernel_id: str, session_id: str, origin: str
) -> tuple[dict[str, str], int | None]:
    """The page's credentials as a query, and the seconds for which they are valid."""
    config = gateway.config
    if "tickets" not in await gateway.features():
        if config.insecure_token_in_page:
            await gateway.auth.headers()  # which renews the token
            return {"token": gateway.auth.credentials.auth_token}, None
        raise DirectUnavailable(
            f"The gateway at {urlsplit(gateway.address.url).netloc} gives no tickets: install"
            " notebook-remote-gateway there, and switch it on."
        )
    try:
        ticket = await gateway.client.ticket(kernel_id, origin, session_id)
    except (GatewayAnswerError, GatewayLimitReached) as error:
        gateway.forget_features()
        raise DirectUnavailable(error.message) from error
    return {str(ticket["param"]): str(ticket["ticket"])}, int(ticket["expires_in"])
