"""The add-on in real gateways: what a ticket opens, and above all what it does not.

No gateway here has any CORS configuration.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
import websocket

from ..conftest import ON_GATEWAYS, SharedServers
from ..processes import Farm, Server, wait_for
from ..test_local_channels import TELL_OPTIONS
from ..tickets import ORIGIN, SESSION, PageChannels, ask, handshake, kernel_body, ticket
from .test_addon_tickets import v1

UNKNOWN = "00000000-0000-0000-0000-000000000000"
OUR_TRACEBACK = re.compile(r'File ".*notebook_remote_gateway/')
WITH_IDENTITIES = [*ON_GATEWAYS[:2]]
REFUSING = """
from jupyter_server.auth.authorizer import Authorizer

class NoExecution(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return (action, resource) != ("execute", "kernels")

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
INSTALLS = """
from jupyter_server.serverapp import ServerApp
from notebook_remote_gateway.jupyter_server import install

class Embedded(ServerApp):
    def init_webapp(self):
        super().init_webapp()
        install(self)

Embedded.launch_instance()
"""


@pytest.fixture
def addon(shared: SharedServers, kind: str) -> Iterator[Server]:
    """A shared gateway of each kind with the add-on; tests leave it as it was.

    Whatever a test does with tickets, none of them is in the log: they all begin like this.
    """
    gateway = shared.gateway(kind, addon=True)
    yield gateway
    assert "eyJ" not in gateway.log


@pytest.fixture
def kernel_id(addon: Server) -> Iterator[str]:
    with addon.kernel(**kernel_body(addon)) as kernel_id:
        yield kernel_id


def audited(gateway: Server, what: str, kernel_id: str) -> list[str]:
    """The outcomes in the log's lines about a kernel."""
    line = rf"{what} outcome=(\S+) kernel={kernel_id} "
    return re.findall(line, gateway.log)


# -- a ticket opens a kernel's channels ----------------------------------------------------------


def test_a_cell_runs_over_a_ticket_from_another_site(addon: Server, kernel_id: str) -> None:
    with PageChannels(addon, kernel_id) as channels:
        assert channels.v1
        assert channels.run("print(6 * 7)") == "42\n"
    with PageChannels(addon, kernel_id, subprotocols=()) as channels:
        assert not channels.v1
        assert channels.run("print(6 * 7)") == "42\n"
    assert audited(addon, "mint", kernel_id) == ["ok", "ok"]
    assert audited(addon, "redeem", kernel_id) == ["ok", "ok"]
    assert f"origin={ORIGIN} user=" in addon.log


def test_a_new_ticket_for_the_same_session_gets_what_was_buffered(
    addon: Server, kernel_id: str
) -> None:
    channels = PageChannels(addon, kernel_id)
    msg_id = channels.start(
        "import time\nfor i in range(5):\n    print(i, flush=True); time.sleep(.2)"
    )
    channels.messages_until(msg_id, "stream")
    channels.ws.sock.close()  # the link breaks, without a goodbye
    with PageChannels(addon, kernel_id, session_id=channels.session_id) as again:
        messages = again.messages_until(msg_id, "execute_reply", "status:idle")
    text = "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")
    assert text.split()[-4:] == ["1", "2", "3", "4"]


def test_the_probe_says_what_there_is(addon: Server, kind: str) -> None:
    response = addon.get("/api/notebook-remote")
    assert response.status_code == 200
    assert response.json()["kind"] == kind
    assert "tickets" in response.json()["features"]
    assert response.json()["version"]


def test_a_ticket_says_how_it_is_used(addon: Server, kernel_id: str) -> None:
    response = ask(addon, kernel_id)
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    answer = response.json()
    assert answer.pop("ticket")
    assert answer == {"param": "nr_token", "expires_in": 45}


# -- and nothing else ----------------------------------------------------------------------------


def test_it_works_once(addon: Server, kernel_id: str) -> None:
    nr_token = ticket(addon, kernel_id)
    assert handshake(addon, kernel_id, nr_token) == 101
    assert handshake(addon, kernel_id, nr_token) == 403
    assert audited(addon, "redeem", kernel_id) == ["ok", "reused"]


def test_of_many_at_the_same_time_one_wins(addon: Server, kernel_id: str) -> None:
    nr_token = ticket(addon, kernel_id)
    together, statuses = threading.Barrier(8), []

    def run() -> None:
        together.wait()
        statuses.append(handshake(addon, kernel_id, nr_token))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(statuses) == {101: 1, 403: 7}


def test_it_expires(farm: Farm, kind: str) -> None:
    gateway = farm.gateway(kind, addon=True, env={"NOTEBOOK_REMOTE_TICKET_LIFETIME": "1"}).start()
    with gateway.kernel(**kernel_body(gateway)) as kernel_id:
        nr_token = ticket(gateway, kernel_id)
        expires = jwt.decode(nr_token, options={"verify_signature": False})["exp"]
        wait_for("the ticket to expire", lambda: time.time() >= expires)
        assert handshake(gateway, kernel_id, nr_token) == 403
        assert audited(gateway, "redeem", kernel_id) == ["expired"]


def test_it_is_for_one_kernel_origin_and_session(addon: Server, kernel_id: str) -> None:
    nr_token = ticket(addon, kernel_id)
    wrong: list[dict[str, Any]] = [
        {"Origin": "https://evil.example"},
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": addon.url},
        # tornado asks nobody about the origin when the browser says this
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
        assert handshake(addon, kernel_id, nr_token, **different) == 403, different
    with addon.kernel(**kernel_body(addon)) as another:
        assert handshake(addon, another, nr_token) == 403
        assert audited(addon, "redeem", another) == ["wrong-kernel"]
    assert handshake(addon, UNKNOWN, nr_token) == 403
    assert audited(addon, "redeem", kernel_id) == [
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
    assert handshake(addon, kernel_id, nr_token, Sec_Fetch_Site="cross-site") == 101


def test_the_session_cannot_be_replaced_in_the_body(addon: Server, kernel_id: str) -> None:
    """Tornado adds a form's values to the query's, and the gateway takes the last."""
    with PageChannels(addon, kernel_id) as page:
        page.run("1")
        nr_token = ticket(addon, kernel_id)
        with requests.get(
            f"{addon.url}/api/kernels/{kernel_id}/channels"
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
        assert page.run("6 * 7") == "42"  # a second one of this session would have ended it
    assert f"Replacing stale connection: {kernel_id}" not in addon.log


def test_forgeries(addon: Server, kernel_id: str) -> None:
    nr_token = ticket(addon, kernel_id)
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
        assert handshake(addon, kernel_id, forgery) == 403, forgery
    assert audited(addon, "redeem", kernel_id) == list(forgeries.values())
    assert handshake(addon, kernel_id, nr_token) == 101


def test_a_bad_ticket_is_not_made_good_by_a_token(addon: Server, kernel_id: str) -> None:
    login = requests.get(f"{addon.url}/?token={addon.token}", timeout=40)
    cookie = "; ".join(f"{c.name}={c.value}" for c in login.cookies)
    for headers in (
        {"Authorization": f"token {addon.token}"},
        {"Authorization": f"token {addon.token}", "Origin": None},
        {"more": f"&token={addon.token}"},
        {"Cookie": cookie, "Origin": addon.url},
    ):
        assert handshake(addon, kernel_id, "bad", **headers) == 403
    assert handshake(addon, kernel_id, ticket(addon, kernel_id), Authorization="token bad") == 101
    assert addon.log.count(addon.token) == addon.log.count(f"?token={addon.token}")


def test_only_a_websocket_is_opened(addon: Server, kernel_id: str) -> None:
    nr_token = ticket(addon, kernel_id)
    assert handshake(addon, kernel_id, nr_token, Upgrade=None) == 403
    url = f"{addon.url}/api/kernels/{kernel_id}/channels?session_id={SESSION}&nr_token={nr_token}"
    for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
        response = requests.request(method, url, headers={"Origin": ORIGIN}, timeout=40)
        assert response.status_code == 403, method
    assert set(audited(addon, "redeem", kernel_id)) == {"no-websocket"}
    assert handshake(addon, kernel_id, nr_token) == 101


def test_a_ticket_is_no_token_anywhere(addon: Server, kernel_id: str) -> None:
    nr_token = ticket(addon, kernel_id)
    name = re.sub(r"[^A-Za-z0-9]", "-", "username-" + addon.url.removeprefix("http://"))
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
                method, addon.url + path, timeout=40, allow_redirects=False, **place
            )
            # 404: a route that this gateway does not have, and 405 one without this method
            refused = (401, 403) if response.status_code not in (404, 405) else (404, 405)
            assert response.status_code in refused, (method, path, place)
            if response.status_code in (404, 405):
                assert addon.request(method, path).status_code in (404, 405), path
    # What is in a URL of the gateway's own gets into its log, so not even a public one takes it.
    for path in ("/", "/api", "/login", "/static/x", "/no/such/route"):
        response = requests.get(f"{addon.url}{path}?nr%5Ftoken={nr_token}", timeout=40)
        assert response.status_code == 403, path
    url = f"{addon.url}/api/kernels/{kernel_id}/channels?token={nr_token}&session_id={SESSION}"
    statuses = (401, 403)
    with pytest.raises(websocket.WebSocketBadStatusException) as error:
        websocket.create_connection(
            "ws" + url.removeprefix("http").replace(nr_token, "x"), origin=ORIGIN, timeout=40
        )
    assert error.value.status_code in statuses
    assert handshake(addon, kernel_id, nr_token) == 101


# -- who gets one --------------------------------------------------------------------------------


def test_tickets_are_for_who_shows_the_token_in_a_header(addon: Server, kernel_id: str) -> None:
    login = requests.get(f"{addon.url}/?token={addon.token}", timeout=40)
    cookies = {c.name: str(c.value) for c in login.cookies}
    xsrf = {"X-XSRFToken": cookies.get("_xsrf", "")}
    wrong: list[dict[str, Any]] = [
        {},
        {"headers": {"Authorization": "token wrong"}},
        {"headers": {"Authorization": "token "}},
        {"params": {"token": addon.token}},
        {"cookies": cookies, "headers": {**xsrf, "Origin": addon.url}},
        {"cookies": cookies, "headers": xsrf},
        {"headers": {"Authorization": f"token {addon.token}", "Origin": ORIGIN}},
        {"headers": {"Authorization": f"token {addon.token}", "Origin": addon.url}},
    ]
    body = {"origin": ORIGIN, "session_id": SESSION}
    for place in wrong:
        for method, path in (
            ("POST", f"/api/kernels/{kernel_id}/channels/ticket"),
            ("GET", "/api/notebook-remote"),
        ):
            response = requests.request(method, addon.url + path, json=body, timeout=40, **place)
            assert response.status_code in (401, 403), (path, place)
            assert set(response.json()) == {"message", "reason"}
            assert "Set-Cookie" not in response.headers
    form = {**body, "token": addon.token}
    url = f"{addon.url}/api/kernels/{kernel_id}/channels/ticket"
    assert requests.post(url, data=form, timeout=40).status_code in (401, 403)
    assert audited(addon, "mint", kernel_id) == []


@pytest.mark.parametrize("kind", WITH_IDENTITIES)
def test_tickets_are_for_who_may_execute(farm: Farm, kind: str) -> None:
    app = "ServerApp" if kind == "jupyter-server" else "KernelGatewayApp"
    gateway = farm.gateway(kind, f"--{app}.authorizer_class=refusing.NoExecution", addon=True)
    (gateway.folder / "refusing.py").write_text(REFUSING)
    gateway.env["PYTHONPATH"] = str(gateway.folder)
    gateway.start()
    with gateway.kernel() as kernel_id:
        response = ask(gateway, kernel_id)
        assert response.status_code == 403
        assert response.json()["reason"] == "not-authorized"
        assert audited(gateway, "mint", kernel_id) == ["not-authorized"]
        assert gateway.get("/api/notebook-remote").status_code == 200


@pytest.mark.parametrize("kind", WITH_IDENTITIES)
def test_the_authorizer_is_asked_again_when_a_ticket_is_used(farm: Farm, kind: str) -> None:
    """About the same user, and the very object that the identity provider made."""
    app = "ServerApp" if kind == "jupyter-server" else "KernelGatewayApp"
    gateway = farm.gateway(kind, f"--{app}.authorizer_class=refusing.NoChannels", addon=True)
    (gateway.folder / "refusing.py").write_text(REFUSING)
    gateway.env["PYTHONPATH"] = str(gateway.folder)
    gateway.start()
    with gateway.kernel() as kernel_id:
        assert handshake(gateway, kernel_id, ticket(gateway, kernel_id)) == 403
        assert audited(gateway, "redeem", kernel_id) == ["ok"]  # it is used up all the same


def test_a_gateway_that_anybody_may_use_gives_no_tickets(farm: Farm, kind: str) -> None:
    """There the check of the origin is all that keeps pages of others out."""
    options = ["--ServerApp.disable_check_xsrf=True"] if kind == "jupyter-server" else []
    gateway = farm.gateway(kind, *options, addon=True, token="").start()
    with gateway.kernel(**kernel_body(gateway)) as kernel_id:
        response = ask(gateway, kernel_id)
        assert response.status_code == 403
        assert response.json()["reason"] == "no-token"


def test_bad_requests_are_told_what_is_wrong(addon: Server, kernel_id: str) -> None:
    good = {"origin": ORIGIN, "session_id": SESSION}
    for reason, body in (
        ("bad-origin", {"session_id": SESSION}),
        ("bad-origin", {**good, "origin": f"{ORIGIN}/"}),
        ("bad-origin", {**good, "origin": "*"}),
        ("bad-origin", {**good, "origin": "null"}),
        ("bad-origin", {**good, "origin": [ORIGIN]}),
        ("bad-session-id", {"origin": ORIGIN}),
        ("bad-session-id", {**good, "session_id": "a b"}),
        ("bad-session-id", {**good, "session_id": 7}),
        ("bad-json", []),
        ("bad-json", "text"),
        ("body-too-long", {**good, "more": "x" * 20_000}),
    ):
        response = ask(addon, kernel_id, body)
        assert (response.status_code, response.json()["reason"]) == (400, reason)
        assert response.json()["message"].endswith(".")
    url = f"/api/kernels/{kernel_id}/channels/ticket"
    json_type = {"Content-Type": "application/json"}
    for reason, options in (
        ("bad-json", {"data": "{", "headers": json_type}),
        ("bad-json", {"data": b"\xff", "headers": json_type}),
        ("bad-json", {"data": "[" * 10_000, "headers": json_type}),
        ("bad-json", {"headers": json_type}),
        ("content-type", {"data": good}),
        ("content-type", {"data": "{}", "headers": {"Content-Type": "text/plain"}}),
    ):
        response = addon.request("POST", url, **options)
        assert (response.status_code, response.json()["reason"]) == (400, reason)
    assert not OUR_TRACEBACK.search(addon.log)


def test_an_unknown_kernel_is_a_404(addon: Server) -> None:
    response = ask(addon, UNKNOWN)
    assert response.status_code == 404
    assert response.json()["reason"] == "not-found"
    assert "404" in audited(addon, "mint", UNKNOWN)


def test_nobody_gets_too_many(farm: Farm, kind: str) -> None:
    env = {"NOTEBOOK_REMOTE_TICKET_RATE": "0.01", "NOTEBOOK_REMOTE_TICKET_BURST": "2"}
    gateway = farm.gateway(kind, addon=True, env=env).start()
    with gateway.kernel(**kernel_body(gateway)) as kernel_id:
        for _ in range(5):
            assert requests.post(
                f"{gateway.url}/api/kernels/{kernel_id}/channels/ticket", json={}, timeout=40
            ).status_code in (401, 403)
            assert ask(gateway, kernel_id, {}).status_code == 400
        assert [ask(gateway, kernel_id).status_code for _ in range(3)] == [201, 201, 429]
        response = ask(gateway, kernel_id)
        assert 80 < int(response.headers["Retry-After"]) <= 100
        assert response.json()["reason"] == "too-many"
        assert audited(gateway, "mint", kernel_id)[-2:] == ["too-many", "too-many"]


# -- what the gateway does itself ----------------------------------------------------------------


def test_without_a_ticket_the_channels_are_the_gateways_own(
    shared: SharedServers, addon: Server, kernel_id: str, kind: str
) -> None:
    """Asked with everything but a ticket, both answer alike."""
    stock = shared.gateway(kind)
    with stock.kernel(**kernel_body(stock)) as stock_id:
        for token in (None, "wrong", "right"):
            for origin in (None, "same", "https://evil.example"):
                for place in ("header", "query"):
                    statuses = []
                    for gateway, kernel in ((stock, stock_id), (addon, kernel_id)):
                        value = gateway.token if token == "right" else token
                        header = [f"Authorization: token {value}"] if value else []
                        query = f"&token={value}" if value else ""
                        try:
                            gateway.channels(
                                kernel,
                                header=header if place == "header" else [],
                                query=query if place == "query" else "",
                                origin=gateway.url if origin == "same" else origin,
                                suppress_origin=origin is None,
                            ).close()
                            statuses.append(101)
                        except websocket.WebSocketBadStatusException as error:
                            statuses.append(error.status_code)
                    assert statuses[0] == statuses[1], (token, origin, place)
        with stock.channels(stock_id) as theirs, addon.channels(kernel_id) as ours:
            assert theirs.run("6 * 7") == ours.run("6 * 7") == "42"


@pytest.mark.parametrize("message", [(2**40).to_bytes(8, "little") + bytes(16), v1(24, 2**62)])
def test_an_absurd_table_ends_that_connection_only(
    addon: Server, kernel_id: str, message: bytes
) -> None:
    with PageChannels(addon, kernel_id) as other, PageChannels(addon, kernel_id) as page:
        other.run("1")
        page.ws.send_binary(message)
        with contextlib.suppress(websocket.WebSocketConnectionClosedException):
            while page.receive():
                pass
        assert page.close_code == 1007
        assert other.run("6 * 7") == "42"
    assert f"Closing the channels of kernel {kernel_id}" in addon.log


def test_small_messages_are_sent_at_once(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server", addon=True)
    folder = Path(gateway.env["JUPYTER_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jupyter_server_config.py").write_text(TELL_OPTIONS)
    gateway.start()
    with gateway.kernel() as kernel_id:
        with PageChannels(gateway, kernel_id) as channels:
            channels.run("1")
        with gateway.channels(kernel_id) as channels:
            channels.run("1")
    assert "TCP_NODELAY of the channels: 1" in gateway.log
    assert "TCP_NODELAY of the channels: 0" in gateway.log


# -- logs ----------------------------------------------------------------------------------------


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
    assert not OUR_TRACEBACK.search(gateway.log)


def test_nothing_that_others_write_forges_a_line(addon: Server, kernel_id: str) -> None:
    nr_token = ticket(addon, kernel_id)
    origin = "https://x outcome=ok kernel=1\x85user=\u00e9"
    assert handshake(addon, kernel_id, nr_token, Origin=origin.encode("latin-1")) == 403  # type: ignore[arg-type]
    assert "origin=https://x?outcome=ok?kernel=1?user=? user=-" in addon.log
    ask(addon, kernel_id, {"origin": "https://x\noutcome=ok", "session_id": SESSION})
    assert "origin=https://x?outcome=ok user=" in addon.log


# -- how it is switched on -----------------------------------------------------------------------


def test_replicas_with_a_key_take_each_others_tickets(farm: Farm) -> None:
    """And each of them once: the README says so."""
    env = {"NOTEBOOK_REMOTE_TICKET_KEY": "k" * 32}
    one, other = (farm.gateway("jupyter-server", addon=True, env=env).start() for _ in range(2))
    with one.kernel() as kernel_id:
        nr_token = ticket(one, kernel_id)
        assert handshake(one, kernel_id, nr_token) == 101
        assert handshake(other, kernel_id, nr_token) == 404  # the kernel is not shared here
        for replica in (one, other):
            assert handshake(replica, kernel_id, nr_token) == 403
            assert audited(replica, "redeem", kernel_id) == ["ok", "reused"]
        with PageChannels(one, kernel_id) as channels:
            assert channels.run("import os; os.getenv('NOTEBOOK_REMOTE_TICKET_KEY')") == ""


def test_gateways_without_a_common_key_do_not(farm: Farm) -> None:
    one, other = (farm.gateway("jupyter-server", addon=True).start() for _ in range(2))
    with one.kernel() as kernel_id:
        assert handshake(other, kernel_id, ticket(one, kernel_id)) == 403
        assert audited(other, "redeem", kernel_id) == ["bad-signature"]


def test_the_readmes_line_for_jupyter_server_works(farm: Farm) -> None:
    """It enables only what a file in the same folder names, so the package installs one.

    Here, next to the test's own settings instead of the environment's.
    """
    installed = Path(sys.prefix, "etc/jupyter/jupyter_server_config.d/notebook_remote_gateway.json")
    gateway = farm.gateway("jupyter-server")
    gateway.command.remove("--ServerApp.jpserver_extensions={}")
    gateway.env["JUPYTER_PREFER_ENV_PATH"] = "0"  # the test's settings before the environment's
    gateway.start()
    assert gateway.get("/api/notebook-remote").status_code == 404  # it is off at first
    gateway.stop()
    folder = Path(gateway.env["JUPYTER_CONFIG_DIR"], "jupyter_server_config.d")
    folder.mkdir(parents=True)
    shutil.copy(installed, folder)
    line = ["-m", "jupyter", "server", "extension", "enable", "notebook_remote_gateway"]
    subprocess.run([sys.executable, *line, "--user"], env=gateway.env, check=True)
    gateway.start()
    assert gateway.get("/api/notebook-remote").status_code == 200


def test_a_bad_setting_stops_the_start(farm: Farm, kind: str) -> None:
    gateway = farm.gateway(kind, addon=True, env={"NOTEBOOK_REMOTE_TICKET_KEY": "short"})
    gateway.start(wait=False)
    assert gateway.process is not None
    assert gateway.process.wait(40) == 1
    assert "a key of 5 bytes is too short" in gateway.log
    assert "Traceback" not in gateway.log


@pytest.mark.eg
def test_a_check_of_certificates_is_not_got_around(farm: Farm) -> None:
    option = "--EnterpriseGatewayApp.authorized_origin=proxy.example"
    gateway = farm.gateway("enterprise-gateway", option, addon=True)
    gateway.start(wait=False)
    assert gateway.process is not None
    assert gateway.process.wait(40) == 1
    assert "Use one of the two." in gateway.log


def test_a_server_app_without_extensions_can_install_it(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server")
    script = gateway.folder / "embedded_app.py"
    script.write_text(INSTALLS)
    gateway.command[1:3] = [str(script)]
    assert gateway.command[0] == sys.executable
    gateway.start()
    with gateway.kernel() as kernel_id, PageChannels(gateway, kernel_id) as channels:
        assert channels.run("6 * 7") == "42"


def test_a_notebook_server_does_not_load_it(farm: Farm) -> None:
    """Its channels lead to a gateway; ours would be before them."""
    notebook = farm.notebook("--ServerApp.jpserver_extensions=notebook_remote_gateway=True").start()
    assert "this server is not a gateway" in notebook.log
    with notebook.kernel() as kernel_id:
        assert ask(notebook, kernel_id).status_code == 404
        with notebook.channels(kernel_id) as channels:
            assert channels.run("6 * 7") == "42"
