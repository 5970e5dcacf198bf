"""Passes: a page of another origin has kernels of its own on a real gateway, without its token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from ..support.servers import PATIENCE, Farm, Server
from ..support.shared_servers import SharedServers
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

OTHER = "http://localhost:8888"
EVIL = "https://evil.example"
OURS = "/api/notebook-remote"
ALLOWED = {"NOTEBOOK_REMOTE_ALLOWED_ORIGINS": f"{ORIGIN}, {OTHER}"}


class Page:
    """A page of another origin, which sends ``authorization`` in a header."""

    def __init__(self, gateway: Server, authorization: str, origin: str | None = ORIGIN) -> None:
        self.gateway, self.authorization, self.origin = gateway, authorization, origin

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": self.authorization, **options.pop("headers", {})}
        if self.origin:
            headers["Origin"] = self.origin
        return requests.request(
            method, self.gateway.url + path, headers=headers, timeout=PATIENCE, **options
        )

    def start(self) -> str:
        response = self.ask("POST", f"{OURS}/kernels", json=kernel_body(self.gateway))
        assert response.status_code == 201, response.text
        assert response.headers["Access-Control-Allow-Origin"] == self.origin
        kernel_id = str(response.json()["id"])
        assert response.headers["Location"].endswith(f"{OURS}/kernels/{kernel_id}")
        return kernel_id


def visit(gateway: Server, origin: str = ORIGIN, **more: str) -> Page:
    """A page that has exchanged the token for a pass."""
    page = Page(gateway, f"token {gateway.token}", origin)
    response = page.ask("POST", f"{OURS}/pass", json={"origin": origin, **more})
    assert response.status_code == 201, response.text
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    answer = response.json()
    assert (answer["scheme"], answer["expires_in"]) == ("nr-pass", 12 * 3600)
    return Page(gateway, f"nr-pass {answer['pass']}", origin)


@pytest.fixture
def gateway(shared: SharedServers, kind: str) -> Iterator[Server]:
    """A shared gateway that has the add-on and lets two origins use passes; no CORS settings."""
    name = f"{kind}+passes"
    if name not in shared.gateways:
        gateway = shared.farm.gateway(kind, "--debug", addon=True, env=ALLOWED)
        shared.gateways[name] = gateway.start()
    yield shared.gateways[name]
    assert "eyJ" not in shared.gateways[name].log
    assert not ADDON_TRACEBACK.search(shared.gateways[name].log)


def test_a_page_controls_its_own_kernels(gateway: Server) -> None:
    page = visit(gateway)
    specs = page.ask("GET", f"{OURS}/kernelspecs")
    assert specs.status_code == 200
    assert specs.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "python3" in specs.json()["kernelspecs"]
    assert page.ask("GET", f"{OURS}/kernels").json() == []
    kernel_id = page.start()
    path = f"{OURS}/kernels/{kernel_id}"
    assert [model["id"] for model in page.ask("GET", f"{OURS}/kernels").json()] == [kernel_id]
    assert page.ask("GET", path).json()["id"] == kernel_id

    response = page.ask("POST", f"{path}/channels/ticket", json={"session_id": SESSION})
    assert response.status_code == 201, response.text
    nr_token = response.json()["ticket"]
    with PageChannels(gateway, kernel_id, nr_token, session_id=SESSION) as channels:
        assert channels.run("6 * 7") == "42"
        msg_id = channels.start("print('busy', flush=True)\nwhile True: pass")
        channels.messages_until(msg_id, "stream")
        assert page.ask("POST", f"{path}/interrupt").status_code == 204
        messages = channels.messages_until(msg_id, "error", "execute_reply")
        assert "KeyboardInterrupt" in [m["content"].get("ename") for m in messages]
    restarted = page.ask("POST", f"{path}/restart")
    assert (restarted.status_code, restarted.json()["id"]) == (200, kernel_id)
    assert page.ask("DELETE", path).status_code == 204
    assert page.ask("GET", path).status_code == 404
    assert page.ask("GET", f"{OURS}/kernels").json() == []


def test_a_pass_does_not_reach_the_kernels_of_others(gateway: Server) -> None:
    page, other = visit(gateway), visit(gateway)
    theirs = other.start()
    with gateway.kernel(**kernel_body(gateway)) as somebodys:
        for kernel_id in (theirs, somebodys):
            path = f"{OURS}/kernels/{kernel_id}"
            for method, more in (
                ("GET", ""),
                ("DELETE", ""),
                ("POST", "/interrupt"),
                ("POST", "/restart"),
                ("POST", "/channels/ticket"),
            ):
                response = page.ask(method, path + more, json={"session_id": SESSION})
                assert response.status_code == 404, (method, more)
            hijack = {**kernel_body(gateway), "kernel_id": kernel_id}
            response = page.ask("POST", f"{OURS}/kernels", json=hijack)
            assert response.status_code == 201
            assert response.json()["id"] != kernel_id
            page.ask("DELETE", f"{OURS}/kernels/{response.json()['id']}")
            env = {"env": {"KERNEL_USERNAME": "ada", "KERNEL_ID": kernel_id}}
            response = page.ask("POST", f"{OURS}/kernels", json=env)
            assert (response.status_code, response.json()["reason"]) == (400, "bad-env")
        assert page.ask("GET", f"{OURS}/kernels").json() == []
        assert gateway.get(f"/api/kernels/{somebodys}").status_code == 200
    assert other.ask("DELETE", f"{OURS}/kernels/{theirs}").status_code == 204


def test_pages_of_one_scope_share_their_kernels(gateway: Server) -> None:
    page, same = visit(gateway, scope="server-1"), visit(gateway, scope="server-1")
    others = [visit(gateway, scope="server-2"), visit(gateway, OTHER, scope="server-1")]
    kernel_id = page.start()
    path = f"{OURS}/kernels/{kernel_id}"
    assert [other.ask("GET", path).status_code for other in others] == [404, 404]
    assert [model["id"] for model in same.ask("GET", f"{OURS}/kernels").json()] == [kernel_id]
    assert same.ask("DELETE", path).status_code == 204


def test_a_pass_is_valid_for_its_own_origin_only(gateway: Server) -> None:
    page = visit(gateway)
    kernel_id = page.start()
    token = page.authorization.removeprefix("nr-pass ")
    header, claims, signature = token.split(".")
    for reason, wrong in (
        ("wrong-origin", Page(gateway, page.authorization, OTHER)),
        ("wrong-origin", Page(gateway, page.authorization, EVIL)),
        ("wrong-origin", Page(gateway, page.authorization, "null")),
        ("no-origin", Page(gateway, page.authorization, None)),
        ("no-pass", Page(gateway, "")),
        ("no-pass", Page(gateway, token)),
        ("no-pass", Page(gateway, f"token {token}")),
        ("no-pass", Page(gateway, f"Bearer {token}")),
        ("no-pass", Page(gateway, f"token {gateway.token}")),
        ("malformed", Page(gateway, "nr-pass x")),
        ("malformed", Page(gateway, f"nr-pass {gateway.token}")),
        ("bad-signature", Page(gateway, f"nr-pass {header}.{claims}.")),
        ("bad-signature", Page(gateway, f"nr-pass {header}.{claims[:-4]}AAAA.{signature}")),
        ("wrong-type", Page(gateway, f"nr-pass {ticket(gateway, kernel_id)}")),
        ("too-long", Page(gateway, "nr-pass " + "x" * 5000)),
    ):
        for method, path in (
            ("GET", "/kernels"),
            ("POST", "/kernels"),
            ("GET", "/kernelspecs"),
            ("DELETE", f"/kernels/{kernel_id}"),
            ("POST", f"/kernels/{kernel_id}/interrupt"),
            ("POST", f"/kernels/{kernel_id}/channels/ticket"),
        ):
            response = wrong.ask(method, OURS + path, json={}, params={"token": gateway.token})
            assert (response.status_code, response.json()["reason"]) == (401, reason), path
            if wrong.origin in (EVIL, "null"):
                assert "Access-Control-Allow-Origin" not in response.headers
    assert page.ask("DELETE", f"{OURS}/kernels/{kernel_id}").status_code == 204


def test_a_pass_opens_nothing_of_the_gateways_own(gateway: Server) -> None:
    page = visit(gateway)
    kernel_id, token = page.start(), page.authorization.removeprefix("nr-pass ")
    for method, path in (
        ("GET", OURS),
        ("POST", f"{OURS}/pass"),
        ("POST", f"/api/kernels/{kernel_id}/channels/ticket"),
        ("GET", f"/api/kernels/{kernel_id}/channels"),
        ("GET", "/api/kernels"),
        ("POST", "/api/kernels"),
        ("GET", f"/api/kernels/{kernel_id}"),
        ("DELETE", f"/api/kernels/{kernel_id}"),
        ("POST", f"/api/kernels/{kernel_id}/interrupt"),
        ("GET", "/api/kernelspecs"),
        ("GET", "/api/sessions"),
    ):
        for authorization in (page.authorization, f"token {token}", f"Bearer {token}"):
            for origin in (None, ORIGIN):
                response = Page(gateway, authorization, origin).ask(
                    method, path, json={"origin": ORIGIN, "session_id": SESSION}
                )
                # Jupyter Server responds with 404 to requests of another origin
                assert response.status_code in (401, 403, 404), (method, path)
    assert handshake(gateway, kernel_id, token) == 403
    assert audit_outcomes(gateway, "redeem", kernel_id) == ["wrong-type"]
    assert page.ask("DELETE", f"{OURS}/kernels/{kernel_id}").status_code == 204


def test_preflight_requests_are_answered_for_allowed_origins_only(gateway: Server) -> None:
    kernel_id = "00000000-0000-0000-0000-000000000000"
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x"}
    paths = ("", "/pass", "/kernels", "/kernelspecs", f"/kernels/{kernel_id}")
    deeper = ("/interrupt", "/channels/ticket")
    for path in (*paths, *(f"/kernels/{kernel_id}{more}" for more in deeper)):
        for origin in (ORIGIN, OTHER, EVIL, "null"):
            response = requests.options(
                gateway.url + OURS + path, headers={**asked, "Origin": origin}, timeout=PATIENCE
            )
            assert response.headers["Vary"] == "Origin"
            assert "Access-Control-Allow-Credentials" not in response.headers
            if origin in (ORIGIN, OTHER):
                assert response.status_code == 204
                assert response.headers["Access-Control-Allow-Origin"] == origin
                allowed = response.headers["Access-Control-Allow-Headers"]
                assert allowed == "authorization, content-type"
            else:
                assert response.status_code == 403
                assert "Access-Control-Allow-Origin" not in response.headers


def test_a_pass_requires_an_allowed_origin_and_the_token(gateway: Server) -> None:
    token = f"token {gateway.token}"
    url = f"{OURS}/pass"
    for authorization in ("", "token wrong", f"nr-pass {gateway.token}"):
        response = Page(gateway, authorization).ask(
            "POST", url, json={"origin": ORIGIN}, params={"token": gateway.token}
        )
        assert response.status_code in (401, 403)
    for page, origin in (
        (Page(gateway, token, EVIL), EVIL),
        (Page(gateway, token, EVIL), ORIGIN),
        (Page(gateway, token, OTHER), ORIGIN),
        (Page(gateway, token, None), EVIL),
    ):
        response = page.ask("POST", url, json={"origin": origin})
        assert (response.status_code, response.json()["reason"]) == (403, "origin")
    for origin in ("*", "", None, [ORIGIN]):
        response = Page(gateway, token).ask("POST", url, json={"origin": origin})
        assert (response.status_code, response.json()["reason"]) == (400, "bad-origin")
    # a notebook server may request a pass for its page, and the list of features
    server = Page(gateway, token, None)
    assert server.ask("POST", url, json={"origin": ORIGIN}).status_code == 201
    assert server.ask("GET", OURS).json()["features"] == ["tickets", "passes"]
    assert re.search(rf"pass outcome=ok kernel=- origin={ORIGIN} user=\S", gateway.log)


def test_without_allowed_origins_there_are_no_passes(shared: SharedServers, kind: str) -> None:
    gateway = shared.gateway(kind, addon=True)
    assert gateway.get(OURS).json()["features"] == ["tickets"]
    response = gateway.post(f"{OURS}/pass", {"origin": ORIGIN})
    assert (response.status_code, response.json()["reason"]) == (403, "origin")
    response = requests.options(
        f"{gateway.url}{OURS}/kernels", headers={"Origin": ORIGIN}, timeout=PATIENCE
    )
    assert response.status_code == 403


def test_the_gateways_limits_on_starts_apply(farm: Farm, kind: str) -> None:
    """Its limit on kernels, and its rules for the environment of a kernel."""
    app = {"kernel-gateway": "KernelGatewayApp", "enterprise-gateway": "EnterpriseGatewayApp"}
    options = [f"--{app[kind]}.max_kernels=1"] if kind in app else []
    gateway = farm.gateway(kind, *options, addon=True, env=ALLOWED).start()
    page = visit(gateway)
    env = {"KERNEL_USERNAME": "ada", "KERNEL_OWN": "1", "LD_PRELOAD": "/no/such"}
    response = page.ask("POST", f"{OURS}/kernels", json={"env": env})
    assert response.status_code == 201
    kernel_id = response.json()["id"]
    body = {"session_id": SESSION}
    nr_token = page.ask("POST", f"{OURS}/kernels/{kernel_id}/channels/ticket", json=body).json()[
        "ticket"
    ]
    with PageChannels(gateway, kernel_id, nr_token, session_id=SESSION) as channels:
        seen = channels.run("import os; [os.getenv(n) for n in ('KERNEL_OWN', 'LD_PRELOAD')]")
    assert seen == ("['1', None]" if kind in app else "[None, None]")
    if kind in app:
        assert page.ask("POST", f"{OURS}/kernels", json=kernel_body(gateway)).status_code == 403
    for bad in ({"name": 7}, {"path": ["x"]}, {"env": []}, []):
        assert page.ask("POST", f"{OURS}/kernels", json=bad).status_code == 400
    assert ask(gateway, kernel_id).status_code == 201  # the token is still valid for everything


def test_a_pass_of_an_origin_that_is_no_longer_allowed_is_rejected(farm: Farm) -> None:
    """Immediately, although the pass has not expired; here after a restart with the same key."""
    key = {"NOTEBOOK_REMOTE_TICKET_KEY": "k" * 32}
    before = farm.gateway("jupyter-server", addon=True, env={**ALLOWED, **key}).start()
    page, other = visit(before), visit(before, OTHER)
    env = {**key, "NOTEBOOK_REMOTE_ALLOWED_ORIGINS": OTHER}
    after = farm.gateway("jupyter-server", addon=True, env=env).start()
    page.gateway = other.gateway = after
    assert page.ask("GET", f"{OURS}/kernels").status_code == 401
    assert other.ask("GET", f"{OURS}/kernels").status_code == 200
