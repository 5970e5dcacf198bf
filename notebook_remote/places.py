"""Where a page finds a kernel's channels: at the gateway itself, with a ticket, and at our relay.

In direct mode the page asks before each connection, since a ticket is good for one. What stands in
the way of a direct connection is said in a sentence, and the page goes through the relay.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from .backends import label
from .config import Gateway
from .exceptions import GatewayAnswerError, GatewayLimitReached
from .gateways import GatewayBackend
from .messages import V1

Model = dict[str, Any]

SESSION_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")  # as the add-on takes it


class NotDirect(Exception):
    """A sentence that says why a page cannot connect to the gateway itself."""


async def places(
    backend: GatewayBackend, kernel_id: str, session_id: str, origin: str, relay: str
) -> Model:
    """The places, best first; called for each connection that a page makes.

    ``origin`` is that of the page, the only one that may use the ticket; ``relay`` is the path of
    our own channels route. Raises KernelNotFound, and GatewayError while the gateway cannot be
    asked.
    """
    model: Model = {"backend": backend.links.backend, "mode": backend.config.mode, "places": []}
    if backend.config.mode == "direct":
        try:
            model["places"].append(await _direct(backend, kernel_id, session_id, origin))
        except NotDirect as why:
            model["why"] = str(why)
    model["places"].append(_through_here(session_id, relay))
    return model


def on_this_computer(session_id: str, relay: str) -> Model:
    """The same for a kernel of this computer, which has one place."""
    return {"backend": "local", "mode": "local", "places": [_through_here(session_id, relay)]}


def _through_here(session_id: str, relay: str) -> Model:
    query = "?" + urlencode({"session_id": session_id}) if session_id else ""
    return {"kind": "relay", "url": relay + query, "protocols": [V1]}


async def _direct(backend: GatewayBackend, kernel_id: str, session_id: str, origin: str) -> Model:
    config = backend.config
    if not SESSION_ID.fullmatch(session_id) or not origin:
        raise NotDirect("Only a page that says its origin and session connects to the gateway.")
    proof, expires_in = await _proof(backend, kernel_id, session_id, origin)
    query = urlencode({"session_id": session_id, **proof})
    place: Model = {
        "kind": "direct",
        "base": "http" + config.page_url.removeprefix("ws"),
        "url": f"{config.page_url}{config.kernels_endpoint}/{kernel_id}/channels?{query}",
        "protocols": [V1],
    }
    return place if expires_in is None else {**place, "expires_in": expires_in}


async def _proof(
    backend: GatewayBackend, kernel_id: str, session_id: str, origin: str
) -> tuple[dict[str, str], int | None]:
    """What proves the page to the gateway, as a query, and the seconds for which it is good."""
    config = backend.config
    if "tickets" not in await backend.features():
        if config.insecure_token_in_page:
            await backend.auth.headers()  # which renews the token
            return {"token": str(config.auth_token)}, None
        raise NotDirect(
            f"The gateway at {urlsplit(config.url).netloc} gives no tickets: install"
            " notebook-remote-gateway there, and switch it on."
        )
    try:
        ticket = await backend.client.ticket(kernel_id, origin, session_id)
    except (GatewayAnswerError, GatewayLimitReached) as error:
        backend.forget_features()
        raise NotDirect(error.message) from error
    return {str(ticket["param"]): str(ticket["ticket"])}, int(ticket["expires_in"])


def shown_to_pages(gateways: list[Gateway], scope: Callable[[str], str]) -> Model:
    """What every page is told about the gateways, in its configuration: nothing of their secrets.

    ``scope`` makes what this server's pages share at the gateway of a URL, in browser mode.
    """
    return {"backends": [_shown(config, scope) for config in gateways]}


def _shown(config: Gateway, scope: Callable[[str], str]) -> Model:
    told: Model = {"name": config.name, "label": label(config), "mode": config.mode}
    if config.mode == "browser":
        told["url"], told["ws_url"] = config.url, config.page_url
        told["scope"] = scope(config.url)
        told["insecure_token"] = config.insecure_token_in_page
        user = os.environ.get("KERNEL_USERNAME")  # which Enterprise Gateway may ask for
        told["env"] = {"KERNEL_USERNAME": user} if user else {}
    return told
