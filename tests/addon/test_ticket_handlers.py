"""Who gets a ticket from a real gateway, and what the add-on says about itself."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from ..support.servers import Farm, Server
from ..support.shared_servers import KINDS
from ..support.tickets import ADDON_TRACEBACK, ORIGIN, SESSION, ask, audit_outcomes, kernel_body

WITH_IDENTITIES = KINDS[:2]  # Enterprise Gateway has no identity provider
UNKNOWN = "00000000-0000-0000-0000-000000000000"
NO_EXECUTION = """
from jupyter_server.auth.authorizer import Authorizer

class NoExecution(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return (action, resource) != ("execute", "kernels")
"""


def test_the_features_are_listed(gateway: Server, kind: str) -> None:
    response = gateway.get("/api/notebook-remote")
    assert response.status_code == 200
    assert response.json()["kind"] == kind
    assert "tickets" in response.json()["features"]
    assert response.json()["version"]


def test_a_ticket_comes_with_its_parameter_and_lifetime(gateway: Server, kernel_id: str) -> None:
    response = ask(gateway, kernel_id)
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    answer = response.json()
    assert answer.pop("ticket")
    assert answer == {"param": "nr_token", "expires_in": 45}


def test_a_ticket_requires_the_token_in_a_header(gateway: Server, kernel_id: str) -> None:
    login = requests.get(f"{gateway.url}/?token={gateway.token}", timeout=40)
    cookies = {c.name: str(c.value) for c in login.cookies}
    xsrf = {"X-XSRFToken": cookies.get("_xsrf", "")}
    wrong: list[dict[str, Any]] = [
        {},
        {"headers": {"Authorization": "token wrong"}},
        {"headers": {"Authorization": "token "}},
        {"params": {"token": gateway.token}},
        {"cookies": cookies, "headers": {**xsrf, "Origin": gateway.url}},
        {"cookies": cookies, "headers": xsrf},
        {"headers": {"Authorization": f"token {gateway.token}", "Origin": ORIGIN}},
        {"headers": {"Authorization": f"token {gateway.token}", "Origin": gateway.url}},
    ]
    body = {"origin": ORIGIN, "session_id": SESSION}
    for place in wrong:
        for method, path in (
            ("POST", f"/api/kernels/{kernel_id}/channels/ticket"),
            ("GET", "/api/notebook-remote"),
        ):
            response = requests.request(method, gateway.url + path, json=body, timeout=40, **place)
            assert response.status_code in (401, 403), (path, place)
            assert set(response.json()) == {"message", "reason"}
            assert "Set-Cookie" not in response.headers
    form = {**body, "token": gateway.token}
    url = f"{gateway.url}/api/kernels/{kernel_id}/channels/ticket"
    assert requests.post(url, data=form, timeout=40).status_code in (401, 403)
    assert audit_outcomes(gateway, "mint", kernel_id) == []


@pytest.mark.parametrize("kind", WITH_IDENTITIES)
def test_a_ticket_requires_the_permission_to_execute(farm: Farm, kind: str) -> None:
    app = "ServerApp" if kind == "jupyter-server" else "KernelGatewayApp"
    gateway = farm.gateway(kind, f"--{app}.authorizer_class=authorizers.NoExecution", addon=True)
    (gateway.folder / "authorizers.py").write_text(NO_EXECUTION)
    gateway.env["PYTHONPATH"] = str(gateway.folder)
    gateway.start()
    with gateway.kernel() as kernel_id:
        response = ask(gateway, kernel_id)
        assert response.status_code == 403
        assert response.json()["reason"] == "not-authorized"
        assert audit_outcomes(gateway, "mint", kernel_id) == ["not-authorized"]
        assert gateway.get("/api/notebook-remote").status_code == 200


def test_a_gateway_without_a_token_issues_no_tickets(farm: Farm, kind: str) -> None:
    """There the check of the origin is all that keeps pages of others out."""
    options = ["--ServerApp.disable_check_xsrf=True"] if kind == "jupyter-server" else []
    gateway = farm.gateway(kind, *options, addon=True, token="").start()
    with gateway.kernel(**kernel_body(gateway)) as kernel_id:
        response = ask(gateway, kernel_id)
        assert response.status_code == 403
        assert response.json()["reason"] == "no-token"


def test_bad_requests_get_a_reason(gateway: Server, kernel_id: str) -> None:
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
        response = ask(gateway, kernel_id, body)
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
        response = gateway.request("POST", url, **options)
        assert (response.status_code, response.json()["reason"]) == (400, reason)
    assert not ADDON_TRACEBACK.search(gateway.log)


def test_an_unknown_kernel_is_a_404(gateway: Server) -> None:
    response = ask(gateway, UNKNOWN)
    assert response.status_code == 404
    assert response.json()["reason"] == "not-found"
    assert "404" in audit_outcomes(gateway, "mint", UNKNOWN)


def test_the_rate_of_tickets_is_limited(farm: Farm, kind: str) -> None:
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
        assert audit_outcomes(gateway, "mint", kernel_id)[-2:] == ["too-many", "too-many"]
