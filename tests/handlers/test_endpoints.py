"""Direct mode on the notebook server's side: who gets a ticket, for what, and why there is none."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import websocket

from ..support.intermediary import Intermediary
from ..support.servers import PATIENCE, V1, Channels, Farm, Server
from ..support.shared_servers import EVERYWHERE, SharedServers

UNKNOWN = "00000000-0000-0000-0000-000000000000"
# An authorizer under which nobody may execute, but everybody read.
READERS = """
from jupyter_server.auth.authorizer import Authorizer

class Readers(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return action != "execute"

c.ServerApp.authorizer_class = Readers
"""


def ask(server: Server, kernel_id: str, session_id: str = "page", **headers: str) -> Any:
    """Ask as a page of the server does."""
    headers = {"Origin": origin_of(server), **headers}
    path = f"/notebook-remote/api/kernels/{kernel_id}/channels"
    return server.request("POST", path, json={"session_id": session_id}, headers=headers)


def origin_of(server: Server) -> str:
    parts = urlsplit(server.url)
    return f"{parts.scheme}://{parts.netloc}"


def connect(url: str, origin: str) -> websocket.WebSocket:
    return websocket.create_connection(url, subprotocols=[V1], origin=origin, timeout=PATIENCE)


@pytest.fixture(params=EVERYWHERE, scope="module")
def direct(request: pytest.FixtureRequest, shared: SharedServers) -> Iterator[Server]:
    """A notebook server in direct mode, on the embedded gateway and on each with the add-on."""
    kind = request.param
    gateway = None if kind == "embedded" else shared.gateway(kind, addon=True)
    env = {"KERNEL_USERNAME": "ada"}
    server = shared.farm.notebook("--mode=direct", gateway=gateway, env=env).start()
    yield server
    server.stop()


def test_a_page_gets_a_ticket_that_opens_the_channels_once(direct: Server) -> None:
    origin = origin_of(direct)
    with direct.kernel() as kernel_id:
        Channels(direct, kernel_id).close()  # the relay is there too
        answer = ask(direct, kernel_id)
        assert answer.headers["Cache-Control"] == "no-store"
        model = answer.json()
        assert model["mode"] == "direct"
        assert "why" not in model
        place, relay = model["places"]
        assert (place["kind"], place["protocols"], place["expires_in"]) == ("direct", [V1], 45)
        assert urlsplit(place["url"]).netloc != urlsplit(direct.url).netloc
        assert relay["url"] == f"/api/kernels/{kernel_id}/channels?session_id=page"
        connect(place["url"], origin).close()
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            connect(place["url"], origin)
        another = ask(direct, kernel_id).json()["places"][0]["url"]
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            connect(another, "https://elsewhere.example")
        for url in (place["url"], another):
            assert parse_qs(urlsplit(url).query)["nr_token"][0] not in direct.log


def test_the_kernels_model_says_where_it_runs(direct: Server) -> None:
    with direct.kernel() as kernel_id:
        model = direct.get(f"/api/kernels/{kernel_id}").json()
        assert model["mode"] == "direct"
        assert model["backend"] in ("embedded", "gateway")


def test_there_is_no_ticket_without_an_origin_or_a_session(direct: Server) -> None:
    with direct.kernel() as kernel_id:
        path = f"/notebook-remote/api/kernels/{kernel_id}/channels"
        odd = ["", "a b", "x" * 200, "a\nb"]
        answers = [direct.post(path, {"session_id": "page"})]
        answers += [ask(direct, kernel_id, session_id) for session_id in odd]
        for answer in answers:
            assert [place["kind"] for place in answer.json()["places"]] == ["relay"]
            assert "origin and session" in answer.json()["why"]


def test_only_those_who_may_use_the_kernel_get_one(direct: Server) -> None:
    with direct.kernel() as kernel_id:
        assert ask(direct, UNKNOWN).status_code == 404
        rebound = {"Host": "rebound.example", "Origin": "http://rebound.example"}
        assert ask(direct, kernel_id, **rebound).status_code == 403
        url = f"{direct.url}/notebook-remote/api/kernels/{kernel_id}/channels"
        assert requests.post(url, json={}, timeout=PATIENCE).status_code == 403


def test_a_cookie_alone_gets_none(direct: Server) -> None:
    """A page of another origin can make the browser send it, but does not know its XSRF token."""
    with direct.kernel() as kernel_id, requests.Session() as browser:
        logged_in = browser.get(f"{direct.url}/tree?token={direct.token}", timeout=PATIENCE)
        assert logged_in.ok
        url = f"{direct.url}/notebook-remote/api/kernels/{kernel_id}/channels"
        headers = {"Origin": origin_of(direct), "Referer": f"{direct.url}/tree"}
        refusal = browser.post(url, json={"session_id": "page"}, headers=headers, timeout=PATIENCE)
        assert refusal.status_code == 403
        headers["X-XSRFToken"] = browser.cookies["_xsrf"]
        elsewhere = {**headers, "Origin": "https://elsewhere.example"}
        refusal = browser.post(
            url, json={"session_id": "page"}, headers=elsewhere, timeout=PATIENCE
        )
        assert refusal.status_code == 404
        answer = browser.post(url, json={"session_id": "page"}, headers=headers, timeout=PATIENCE)
        assert answer.json()["places"][0]["kind"] == "direct"


def test_who_may_not_execute_gets_none(farm: Farm) -> None:
    server = farm.notebook("--mode=direct")
    config = server.folder.parent / "home" / "config"
    config.mkdir(parents=True)
    (config / "jupyter_server_config.py").write_text(READERS)
    server.start()
    kernel_id = server.start_kernel()
    assert server.get(f"/api/kernels/{kernel_id}").ok
    refusal = ask(server, kernel_id)
    assert refusal.status_code == 403
    assert "ticket" not in refusal.text


def test_in_proxy_mode_there_is_the_relay_and_no_word_of_another(notebook: Server) -> None:
    with notebook.kernel() as kernel_id:
        model = ask(notebook, kernel_id).json()
        assert model["mode"] == "proxy"
        assert [place["kind"] for place in model["places"]] == ["relay"]
        assert "why" not in model


def test_a_stock_gateway_is_reached_through_the_relay_and_the_page_learns_why(
    farm: Farm, gateway: Server
) -> None:
    env = {"KERNEL_USERNAME": "ada"}
    server = farm.notebook("--mode=direct", gateway=gateway, env=env).start()
    with server.kernel() as kernel_id:
        model = ask(server, kernel_id).json()
        assert [place["kind"] for place in model["places"]] == ["relay"]
        assert "notebook-remote-gateway" in model["why"]
        assert gateway.token not in json.dumps(model)


def test_the_gateways_token_goes_to_the_page_only_if_that_is_asked_for_by_its_name(
    farm: Farm, shared: SharedServers
) -> None:
    gateway = shared.gateway("jupyter-server")
    options = ("--mode=direct", "--Gateway.insecure_token_in_page=True")
    server = farm.notebook(*options, gateway=gateway).start()
    with server.kernel() as kernel_id:
        place = ask(server, kernel_id).json()["places"][0]
        assert (place["kind"], "expires_in" in place) == ("direct", False)
        connect(place["url"], origin_of(server)).close()
        assert gateway.token not in server.log


def test_pages_are_sent_to_the_address_that_they_can_reach(
    farm: Farm, shared: SharedServers
) -> None:
    gateway = shared.gateway("jupyter-server", addon=True)
    there = "--Gateway.page_ws_url=wss://Gateway.example/Team-A/"
    server = farm.notebook("--mode=direct", there, gateway=gateway).start()
    with server.kernel() as kernel_id:
        place = ask(server, kernel_id).json()["places"][0]
        assert place["base"] == "https://gateway.example/Team-A"
        assert place["url"].startswith(
            f"wss://gateway.example/Team-A/api/kernels/{kernel_id}/channels?"
        )


def test_while_the_gateway_is_away_the_page_is_told_so(farm: Farm, shared: SharedServers) -> None:
    gateway = shared.gateway("kernel-gateway", addon=True)
    with Intermediary(int(gateway.url.rpartition(":")[2])) as link:
        there = copy.copy(gateway)
        there.url = link.url
        server = farm.notebook("--mode=direct", gateway=there).start()
        with server.kernel() as kernel_id:
            link.refuse()
            assert ask(server, kernel_id).status_code == 503
            link.restore()
            assert ask(server, kernel_id).json()["places"][0]["kind"] == "direct"


def test_pages_learn_the_mode_and_nothing_secret(direct: Server) -> None:
    page = direct.get("/tree").text
    found = re.search(r'"notebookRemote": "(.*?)(?<!\\)"', page)
    assert found
    config = json.loads(json.loads(f'"{found[1]}"'))
    [backend] = config["backends"]
    assert set(backend) == {"name", "label", "mode"}
    assert backend["mode"] == "direct"
