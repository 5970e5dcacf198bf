"""Getting tickets from gateways with the add-on, and using them as a page of another site does."""

from __future__ import annotations

import re
import uuid
from typing import Any

import requests

from .servers import Channels, Server

ORIGIN = "https://notebook.example"
SESSION = "5e55-10n"
ADDON_TRACEBACK = re.compile(r'File ".*notebook_remote_gateway/')


def kernel_body(gateway: Server) -> dict[str, Any]:
    """What starts a kernel; Enterprise Gateway takes no unnamed user, as root."""
    eg = "enterprise" in gateway.folder.parent.name
    return {"env": {"KERNEL_USERNAME": "ada"}} if eg else {}


def ask(gateway: Server, kernel_id: str, body: Any = None, **options: Any) -> requests.Response:
    body = {"origin": ORIGIN, "session_id": SESSION} if body is None else body
    return gateway.post(f"/api/kernels/{kernel_id}/channels/ticket", body, **options)


def ticket(gateway: Server, kernel_id: str, **body: str) -> str:
    response = ask(gateway, kernel_id, {"origin": ORIGIN, "session_id": SESSION, **body})
    assert response.status_code == 201, response.text
    assert response.json()["param"] == "nr_token"
    return str(response.json()["ticket"])


def handshake(
    gateway: Server,
    kernel_id: str,
    nr_token: str,
    *,
    session_id: str = SESSION,
    more: str = "",
    **headers: str | None,
) -> int:
    """The status of a handshake with a ticket; no cookies, no token unless ``headers`` has them."""
    query = f"session_id={session_id}&nr_token={nr_token}{more}"
    wanted = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Origin": ORIGIN,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    with requests.get(
        f"{gateway.url}/api/kernels/{kernel_id}/channels?{query}",
        headers={k: v for k, v in wanted.items() if v is not None},
        stream=True,
        timeout=40,
        verify=gateway.verify,
    ) as response:
        return response.status_code


def audit_outcomes(gateway: Server, event: str, kernel_id: str) -> list[str]:
    """The outcomes in the add-on's audit log for one kernel."""
    return re.findall(rf"{event} outcome=(\S+) kernel={kernel_id} ", gateway.log)


class PageChannels(Channels):
    """A WebSocket that a page of another site opens with a ticket."""

    def __init__(self, gateway: Server, kernel_id: str, nr_token: str = "", **options: Any) -> None:
        session_id = options.pop("session_id", uuid.uuid4().hex)
        origin = options.pop("origin", ORIGIN)
        nr_token = nr_token or ticket(gateway, kernel_id, session_id=session_id, origin=origin)
        super().__init__(
            gateway,
            kernel_id,
            session_id,
            header=options.pop("header", []),
            origin=origin,
            query=f"&nr_token={nr_token}",
            **options,
        )


# -- messages ------------------------------------------------------------------------------------


def v1(*offsets: int, body: bytes = b"") -> bytes:
    return b"".join(n.to_bytes(8, "little") for n in (len(offsets), *offsets)) + body
