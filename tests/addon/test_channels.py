"""What a ticket opens in real gateways, and above all what it does not open.

No gateway here has any CORS configuration.
"""

from __future__ import annotations

import contextlib
import re
import struct
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
import websocket

from ..support.recipes import REPORT_NODELAY
from ..support.servers import Farm, Server, wait_for
from ..support.shared_servers import KINDS, SharedServers
from ..support.tickets import (
    ADDON_TRACEBACK,
    ORIGIN,
    SESSION,
    PageChannels,
    ask,
    audit_outcomes,
    handshake,
    kernel_body,
    ticket,
)

UNKNOWN = "00000000-0000-0000-0000-000000000000"
WITH_IDENTITIES = KINDS[:2]  # Enterprise Gateway has no identity provider
NO_CHANNELS = """
from jupyter_server.auth.authorizer import Authorizer

class NoChannels(Authorizer):
    users = {}

    def is_authorized(self, handler, user, action, resource):
        if handler.request.path.endswith("/ticket"):
            self.users[user.username] = user
        if handler.request.path.endswith("/channels"):
            assert self.users[user.username] is user
            return False
        return True
"""


def test_a_cell_runs_over_a_ticket_from_another_site(gateway: Server, kernel_id: str) -> None:
    with PageChannels(gateway, kernel_id) as channels:
        assert channels.v1
        assert channels.run("print(6 * 7)") == "42\n"
    with PageChannels(gateway, kernel_id, subprotocols=()) as channels:
        assert not channels.v1
        assert channels.run("print(6 * 7)") == "42\n"
    assert audit_outcomes(gateway, "mint", kernel_id) == ["ok", "ok"]
    assert audit_outcomes(gateway, "redeem", kernel_id) == ["ok", "ok"]
    assert f"origin={ORIGIN} user=" in gateway.log


def test_a_new_ticket_for_the_same_session_gets_what_was_buffered(
    gateway: Server, kernel_id: str
) -> None:
    channels = PageChannels(gateway, kernel_id)
    msg_id = channels.start(
        "import time\nfor i in range(5):\n    print(i, flush=True); time.sleep(.2)"
    )
    channels.messages_until(msg_id, "stream")
    channels.ws.sock.close()  # the connection breaks without a close frame
    with PageChannels(gateway, kernel_id, session_id=channels.session_id) as again:
        messages = again.messages_until(msg_id, "execute_reply", "status:idle")
    text = "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")
    assert text.split()[-4:] == ["1", "2", "3", "4"]


def test_a_ticket_works_once(gateway: Server, kernel_id: str) -> None:
    nr_token = ticket(gateway, kernel_id)
    assert handshake(gateway, kernel_id, nr_token) == 101
    assert handshake(gateway, kernel_id, nr_token) == 403
    assert audit_outcomes(gateway, "redeem", kernel_id) == ["ok", "reused"]


def test_one_of_many_simultaneous_uses_wins(gateway: Server, kernel_id: str) -> None:
    nr_token = ticket(gateway, kernel_id)
    together, statuses = threading.Barrier(8), []

    def run() -> None:
        together.wait()
        statuses.append(handshake(gateway, kernel_id, nr_token))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(statuses) == {101: 1, 403: 7}


def test_a_ticket_expires(farm: Farm, kind: str) -> None:
    gateway = farm.gateway(kind, addon=True, env={"NOTEBOOK_REMOTE_TICKET_LIFETIME": "1"}).start()
    with gateway.kernel(**kernel_body(gateway)) as kernel_id:
        nr_token = ticket(gateway, kernel_id)
        expires = jwt.decode(nr_token, options={"verify_signature": False})["exp"]
        wait_for("the ticket to expire", lambda: time.time() >= expires)
        assert handshake(gateway, kernel_id, nr_token) == 403
        assert audit_outcomes(gateway, "redeem", kernel_id) == ["expired"]


def test_a_ticket_is_for_one_kernel_origin_and_session(gateway: Server, kernel_id: str) -> None:
    nr_token = ticket(gateway, kernel_id)
    wrong: list[dict[str, Any]] = [
        {"Origin": "https://evil.example"},
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": gateway.url},
        # with this header, tornado skips the check of the origin
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "same-origin"},
        {"Origin": "https://evil.example", "Sec_Fetch_Site": "none"},
        {"Origin": None, "Sec_Fetch_Site": "same-origin"},
        {"Origin": None, "Sec_Websocket_Origin": ORIGIN},
        {"session_id": "another"},
        {"session_id": ""},
        {"more": "&session_id=another"},
        {"more": f"&session_id={SESSION}"},
    ]
    for different in wrong:
        assert handshake(gateway, kernel_id, nr_token, **different) == 403, different
    with gateway.kernel(**kernel_body(gateway)) as another:
        assert handshake(gateway, another, nr_token) == 403
        assert audit_outcomes(gateway, "redeem", another) == ["wrong-kernel"]
    assert handshake(gateway, UNKNOWN, nr_token) == 403
    assert audit_outcomes(gateway, "redeem", kernel_id) == [
        "wrong-origin",
        "no-origin",
        "wrong-origin",
        "wrong-origin",
        "wrong-origin",
        "wrong-origin",
        "no-origin",
        "no-origin",
        *["wrong-session"] * 4,
    ]
    assert handshake(gateway, kernel_id, nr_token, Sec_Fetch_Site="cross-site") == 101


def test_the_session_cannot_be_replaced_in_the_body(gateway: Server, kernel_id: str) -> None:
    """Tornado appends a form's values to the query's, and the gateway uses the last one."""
    with PageChannels(gateway, kernel_id) as page:
        page.run("1")
        nr_token = ticket(gateway, kernel_id)
        with requests.get(
            f"{gateway.url}/api/kernels/{kernel_id}/channels"
            f"?session_id={SESSION}&nr_token={nr_token}",
            headers={
                "Connection": "Upgrade",
                "Upgrade": "websocket",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version": "13",
                "Origin": ORIGIN,
            },
            data={"session_id": page.session_id},
            stream=True,
            timeout=40,
        ) as response:
            assert response.status_code == 101
        # a second connection of this session would have closed this one
        assert page.run("6 * 7") == "42"
    assert f"Replacing stale connection: {kernel_id}" not in gateway.log


def test_forgeries(gateway: Server, kernel_id: str) -> None:
    nr_token = ticket(gateway, kernel_id)
    header, claims, signature = nr_token.split(".")
    payload = jwt.decode(nr_token, options={"verify_signature": False})
    typ = {"typ": "nr-ticket+jwt"}
    forgeries = {
        "": "malformed",
        "x": "malformed",
        "%00": "malformed",
        "%ff": "malformed",
        f"{header}.{claims}.": "bad-signature",
        f"{header}.{claims}.{signature[1:22] + signature[0] + signature[22:]}": "bad-signature",
        f"{header}.{claims[:-4]}AAAA.{signature}": "bad-signature",
        jwt.encode(payload, None, "none", headers=typ): "bad-algorithm",
        jwt.encode(payload, "k" * 32, "HS256", headers=typ): "bad-signature",
        "x" * 5000: "too-long",
        f"{nr_token}&nr_token={nr_token}": "malformed",
    }
    for forgery in forgeries:
        assert handshake(gateway, kernel_id, forgery) == 403, forgery
    assert audit_outcomes(gateway, "redeem", kernel_id) == list(forgeries.values())
    assert handshake(gateway, kernel_id, nr_token) == 101


def test_a_bad_ticket_is_not_made_good_by_a_token(gateway: Server, kernel_id: str) -> None:
    login = requests.get(f"{gateway.url}/?token={gateway.token}", timeout=40)
    cookie = "; ".join(f"{c.name}={c.value}" for c in login.cookies)
    for headers in (
        {"Authorization": f"token {gateway.token}"},
        {"Authorization": f"token {gateway.token}", "Origin": None},
        {"more": f"&token={gateway.token}"},
        {"Cookie": cookie, "Origin": gateway.url},
    ):
        assert handshake(gateway, kernel_id, "bad", **headers) == 403
    assert (
        handshake(gateway, kernel_id, ticket(gateway, kernel_id), Authorization="token bad") == 101
    )
    assert gateway.log.count(gateway.token) == gateway.log.count(f"?token={gateway.token}")


def test_only_a_websocket_is_opened(gateway: Server, kernel_id: str) -> None:
    nr_token = ticket(gateway, kernel_id)
    assert handshake(gateway, kernel_id, nr_token, Upgrade=None) == 403
    url = f"{gateway.url}/api/kernels/{kernel_id}/channels?session_id={SESSION}&nr_token={nr_token}"
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        response = requests.request(method, url, headers={"Origin": ORIGIN}, timeout=40)
        assert response.status_code == 403, method
    assert set(audit_outcomes(gateway, "redeem", kernel_id)) == {"no-websocket"}
    assert handshake(gateway, kernel_id, nr_token) == 101


def test_a_ticket_is_no_token_anywhere(gateway: Server, kernel_id: str) -> None:
    nr_token = ticket(gateway, kernel_id)
    name = re.sub(r"[^A-Za-z0-9]", "-", "username-" + gateway.url.removeprefix("http://"))
    places: list[dict[str, Any]] = [
        {"headers": {"Authorization": f"token {nr_token}"}},
        {"headers": {"Authorization": f"Bearer {nr_token}"}},
        {"headers": {"Authorization": nr_token}},
        {"headers": {"Authorization": f"nr-pass {nr_token}"}},
        {"headers": {"X-XSRFToken": nr_token, "X-Auth-Token": nr_token, "nr_token": nr_token}},
        {"headers": {"Cookie": f"{name}={nr_token}; nr_token={nr_token}"}},
        {"headers": {"Sec-WebSocket-Protocol": nr_token}},
        {"params": {"nr_token": nr_token, "session_id": SESSION}},
        {"data": {"nr_token": nr_token, "token": nr_token}},
    ]
    routes = [
        ("GET", "/api/notebook-remote"),
        ("POST", f"/api/kernels/{kernel_id}/channels/ticket"),
        ("GET", f"/api/kernels/{kernel_id}/channels"),
        ("GET", "/api/kernels"),
        ("POST", "/api/kernels"),
        ("GET", f"/api/kernels/{kernel_id}"),
        ("DELETE", f"/api/kernels/{kernel_id}"),
        ("POST", f"/api/kernels/{kernel_id}/interrupt"),
        ("POST", f"/api/kernels/{kernel_id}/restart"),
        ("GET", "/api/kernelspecs"),
        ("GET", "/api/kernelspecs/python3"),
        ("GET", "/api/sessions"),
        ("POST", "/api/sessions"),
        ("GET", "/api/status"),
        ("GET", "/api/contents"),
        ("GET", "/api/terminals"),
        ("POST", "/api/shutdown"),
    ]
    for method, path in routes:
        for place in places:
            response = requests.request(
                method, gateway.url + path, timeout=40, allow_redirects=False, **place
            )
            # 404: a route that this gateway does not have, and 405 one without this method
            refused = (401, 403) if response.status_code not in (404, 405) else (404, 405)
            assert response.status_code in refused, (method, path, place)
            if response.status_code in (404, 405):
                assert gateway.request(method, path).status_code in (404, 405), path
    # The gateway logs its URLs, so even a public one must not receive a ticket.
    for path in ("/", "/api", "/login", "/static/x", "/no/such/route"):
        response = requests.get(f"{gateway.url}{path}?nr%5Ftoken={nr_token}", timeout=40)
        assert response.status_code == 403, path
    url = f"{gateway.url}/api/kernels/{kernel_id}/channels?token={nr_token}&session_id={SESSION}"
    statuses = (401, 403)
    with pytest.raises(websocket.WebSocketBadStatusException) as error:
        websocket.create_connection(
            "ws" + url.removeprefix("http").replace(nr_token, "x"), origin=ORIGIN, timeout=40
        )
    assert error.value.status_code in statuses
    assert handshake(gateway, kernel_id, nr_token) == 101


@pytest.mark.parametrize("kind", WITH_IDENTITIES)
def test_the_authorizer_is_asked_again_when_a_ticket_is_used(farm: Farm, kind: str) -> None:
    """For the same user, with the same object that the identity provider created."""
    app = "ServerApp" if kind == "jupyter-server" else "KernelGatewayApp"
    gateway = farm.gateway(kind, f"--{app}.authorizer_class=authorizers.NoChannels", addon=True)
    (gateway.folder / "authorizers.py").write_text(NO_CHANNELS)
    gateway.env["PYTHONPATH"] = str(gateway.folder)
    gateway.start()
    with gateway.kernel() as kernel_id:
        assert handshake(gateway, kernel_id, ticket(gateway, kernel_id)) == 403
        # the ticket is used up nevertheless
        assert audit_outcomes(gateway, "redeem", kernel_id) == ["ok"]


def test_without_a_ticket_the_channels_are_the_gateways_own(
    shared: SharedServers, gateway: Server, kernel_id: str, kind: str
) -> None:
    """Stock gateway and add-on respond alike to every request without a ticket."""
    stock = shared.gateway(kind)
    with stock.kernel(**kernel_body(stock)) as stock_id:
        for token in (None, "wrong", "right"):
            for origin in (None, "same", "https://evil.example"):
                for place in ("header", "query"):
                    statuses = []
                    for server, kernel in ((stock, stock_id), (gateway, kernel_id)):
                        value = server.token if token == "right" else token
                        header = [f"Authorization: token {value}"] if value else []
                        query = f"&token={value}" if value else ""
                        try:
                            server.channels(
                                kernel,
                                header=header if place == "header" else [],
                                query=query if place == "query" else "",
                                origin=server.url if origin == "same" else origin,
                                suppress_origin=origin is None,
                            ).close()
                            statuses.append(101)
                        except websocket.WebSocketBadStatusException as error:
                            statuses.append(error.status_code)
                    assert statuses[0] == statuses[1], (token, origin, place)
        with stock.channels(stock_id) as theirs, gateway.channels(kernel_id) as ours:
            assert theirs.run("6 * 7") == ours.run("6 * 7") == "42"


@pytest.mark.parametrize(
    "message", [struct.pack("<3Q", 2**40, 0, 0), struct.pack("<3Q", 2, 24, 2**62)]
)
def test_an_invalid_offset_table_closes_that_connection_only(
    gateway: Server, kernel_id: str, message: bytes
) -> None:
    with PageChannels(gateway, kernel_id) as other, PageChannels(gateway, kernel_id) as page:
        other.run("1")
        page.ws.send_binary(message)
        with contextlib.suppress(websocket.WebSocketConnectionClosedException):
            while page.receive():
                pass
        assert page.close_code == 1007
        assert other.run("6 * 7") == "42"
    assert f"Closing the channels of kernel {kernel_id}" in gateway.log


def test_small_messages_are_sent_at_once(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server", addon=True)
    folder = Path(gateway.env["JUPYTER_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jupyter_server_config.py").write_text(REPORT_NODELAY)
    gateway.start()
    with gateway.kernel() as kernel_id:
        with PageChannels(gateway, kernel_id) as channels:
            channels.run("1")
        with gateway.channels(kernel_id) as channels:
            channels.run("1")
    assert "TCP_NODELAY of the channels: 1" in gateway.log
    assert "TCP_NODELAY of the channels: 0" in gateway.log


def test_no_ticket_is_in_a_debug_log(farm: Farm, kind: str) -> None:
    gateway = farm.gateway(kind, "--debug", addon=True, base_url="/a/b/").start()
    with gateway.kernel(**kernel_body(gateway)) as kernel_id:
        for _ in range(2):
            with PageChannels(gateway, kernel_id) as channels:
                assert channels.run("6 * 7") == "42"
        nr_token = ticket(gateway, kernel_id)
        for different in (
            {"Origin": None},
            {"session_id": "x"},
            {"Upgrade": None},
            {"more": "&x="},
        ):
            handshake(gateway, kernel_id, nr_token, **different)
            handshake(gateway, kernel_id, nr_token + "x", **different)
        requests.get(f"{gateway.url}/api/kernels/{kernel_id}?nr_token={nr_token}", timeout=40)
        requests.get(f"{gateway.url}/no/such?nr_token={nr_token}", timeout=40)
    gateway.stop()
    assert "redeem outcome=ok" in gateway.log
    assert "redeem outcome=no-origin" in gateway.log
    assert "redeem outcome=wrong-route" in gateway.log
    assert "eyJ" not in gateway.log
    assert not any(part in gateway.log for part in nr_token.split("."))
    assert not ADDON_TRACEBACK.search(gateway.log)


def test_client_text_cannot_forge_a_log_line(gateway: Server, kernel_id: str) -> None:
    nr_token = ticket(gateway, kernel_id)
    origin = "https://x outcome=ok kernel=1\x85user=\u00e9"
    assert handshake(gateway, kernel_id, nr_token, Origin=origin.encode("latin-1")) == 403  # type: ignore[arg-type]
    assert "origin=https://x?outcome=ok?kernel=1?user=? user=-" in gateway.log
    ask(gateway, kernel_id, {"origin": "https://x\noutcome=ok", "session_id": SESSION})
    assert "origin=https://x?outcome=ok user=" in gateway.log


# -- how it is switched on -----------------------------------------------------------------------
