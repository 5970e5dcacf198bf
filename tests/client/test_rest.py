"""The REST client, and what of ours reaches a gateway and what does not."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from traitlets.config import Config

from notebook_remote.client.auth import GatewayAuth
from notebook_remote.client.rest import RestClient
from notebook_remote.config.gateway import Gateway
from notebook_remote.exceptions import (
    GatewayAnswerError,
    GatewayUnreachable,
    KernelNotFound,
    KernelSpecNotFound,
)

from ..support.intermediary import Intermediary
from ..support.odd_gateway import OddGateway
from ..support.recipes import _ready, ask, assert_ends
from ..support.servers import PATIENCE, Farm, Server, free_port
from ..support.shared_servers import SharedServers

UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def open_to_all(shared_farm: Farm) -> Server:
    return shared_farm.gateway("jupyter-server", token="").start()


def test_kinds_are_told_apart(gateway: Server, kind: str) -> None:
    expected = "enterprise-gateway" if kind == "enterprise-gateway" else "jupyter"
    assert ask(gateway, lambda c: c.kind()) == expected


def test_listing_may_be_forbidden(gateway: Server, kind: str) -> None:
    models = ask(gateway, lambda c: c.kernels())
    assert (models is None) == (kind != "jupyter-server")


def test_what_is_unknown(gateway: Server) -> None:
    with pytest.raises(KernelNotFound, match=UNKNOWN):
        ask(gateway, lambda c: c.kernel(UNKNOWN))
    for call in (RestClient.interrupt, RestClient.restart, RestClient.shutdown):
        with pytest.raises(KernelNotFound):
            ask(gateway, lambda c, call=call: call(c, UNKNOWN))
    with pytest.raises(KernelSpecNotFound, match=r"'a/\.\./b'"):
        ask(gateway, lambda c: c.kernelspec("a/../b"))


@pytest.mark.parametrize("options", [{}, {"accept_cookies": True}, {"auth_token": "needless"}])
def test_a_jupyter_server_without_a_token(open_to_all: Server, options: dict[str, Any]) -> None:
    """It refuses whatever changes something and has no _xsrf cookie with an equal header."""

    async def use(client: RestClient) -> None:
        await client.kernels()  # where it sets a cookie of its own
        kernel_id = (await client.start_kernel("python3", {}))["id"]
        await client.interrupt(kernel_id)
        await client.restart(kernel_id)
        await client.shutdown(kernel_id)

    ask(open_to_all, use, **options)


def test_a_users_own_xsrf_header_stays(open_to_all: Server) -> None:
    own = '{"Cookie": "a=b; _xsrf=c0ffee", "X-XSRFToken": "c0ffee"}'

    async def use(client: RestClient) -> dict[str, str]:
        await client.shutdown((await client.start_kernel("python3", {}))["id"])
        return await client.headers(open_to_all.url, changes=True)

    headers = ask(open_to_all, use, headers=own)
    assert (headers["Cookie"], headers["X-XSRFToken"]) == ("a=b; _xsrf=c0ffee", "c0ffee")


@pytest.mark.parametrize("kernel_id", ["../status", "a-b-c-d-e/..", "", "x?y-1-2-3-4", "ä-b-c-d-e"])
def test_no_odd_id_is_put_into_a_url(shared: SharedServers, kernel_id: str) -> None:
    gateway = shared.gateway("jupyter-server")
    for call in (RestClient.kernel, RestClient.shutdown, RestClient.restart):
        with pytest.raises(KernelNotFound, match="is not the id of a kernel"):
            ask(gateway, lambda c, call=call: call(c, kernel_id))


def test_a_404_of_something_else_does_not_end_a_kernel(shared: SharedServers) -> None:
    """Here the HTML page that a Jupyter Server has for addresses it does not know."""
    gateway = shared.gateway("jupyter-server")
    with pytest.raises(GatewayAnswerError, match="does not answer"):
        ask(gateway, lambda c: c.kernel(UNKNOWN), kernels_endpoint="/nosuch")


def strange(
    question: Callable[[RestClient], Awaitable[Any]], status: int, body: Any, **options: object
) -> Any:
    """Ask something that has one answer to all questions."""
    with OddGateway(lambda method, path: (status, body)) as gateway:
        config = Gateway(config=Config({"Gateway": {"url": gateway.url, **options}}))

        async def run() -> Any:
            client = RestClient(config, GatewayAuth(config), ssl.create_default_context(), _ready)
            try:
                return await question(client)
            finally:
                await client.close()

        return asyncio.run(run())


def test_a_model_of_another_kernel_is_no_answer() -> None:
    other = {"id": UNKNOWN.replace("0", "1"), "name": "python3"}
    with pytest.raises(GatewayAnswerError):
        strange(lambda c: c.kernel(UNKNOWN), 200, other)


NESTED = b"[" * 100_000


@pytest.mark.parametrize("body", [NESTED, b"\xff\xfe", b"", None, [], "x", {"kernelspecs": []}])
def test_what_no_gateway_answers_is_a_gateways_error(body: Any) -> None:
    for question in (
        lambda c: c.kernelspecs(),
        lambda c: c.kernel(UNKNOWN),
        lambda c: c.start_kernel("python3", {}),
    ):
        with pytest.raises(GatewayAnswerError, match="does not answer"):
            strange(question, 200, body)
    assert strange(lambda c: c.addon(), 200, NESTED) is None


def test_odd_kernelspecs_are_left_out_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    good = {"spec": {"display_name": "Good", "metadata": None}}
    listed = {"good": good, "null": None, "text": {"spec": "text"}, "a/b": good}
    answer = {"default": 5, "kernelspecs": listed}

    async def ask_twice(client: RestClient) -> Any:
        await client.kernelspecs()
        return await client.kernelspecs()

    found = strange(ask_twice, 200, answer)
    assert (list(found["kernelspecs"]), found["default"]) == (["good"], "")
    assert found["kernelspecs"]["good"]["spec"]["metadata"] == {}
    assert [caplog.text.count(name) for name in ("'null'", "'text'", "'a/b'")] == [1, 1, 1]


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    endless = itertools.repeat(b" " * 1_000_000)
    with pytest.raises(GatewayAnswerError, match="more than 32 MiB"):
        strange(lambda c: c.kernels(), 200, endless)


def test_an_answer_that_drips_is_given_up() -> None:
    def drip() -> Iterator[bytes]:
        while not given_up.wait(0.05):
            yield b" "

    given_up = threading.Event()
    with pytest.raises(GatewayUnreachable, match="did not answer in time"):
        strange(lambda c: c.kernels(), 200, drip(), request_timeout=0.5, connect_timeout=0.5)
    given_up.set()


def test_a_get_is_sent_again_and_a_post_is_not(shared: SharedServers) -> None:
    gateway = shared.gateway("jupyter-server")
    with Intermediary(free_port()) as nowhere:  # accepts a connection, and closes it
        for question, attempts in (
            (lambda c: c.kernels(), 3),
            (lambda c: c.start_kernel("python3", {}), 1),
        ):
            before = nowhere.accepted
            with pytest.raises(GatewayUnreachable, match="broke off"):
                ask(gateway, question, url=nowhere.url)
            assert nowhere.accepted - before == attempts + 1  # to see whether it speaks TLS


def test_a_gateway_that_is_removed_while_it_is_asked_is_not_asked_again() -> None:
    asked, removed = threading.Event(), threading.Event()

    def hang(method: str, path: str) -> tuple[int, Any]:
        asked.set()
        removed.wait(PATIENCE)
        return 200, []

    async def remove(client: RestClient, gateway: OddGateway) -> None:
        lists = [asyncio.ensure_future(client.kernels()) for _ in range(3)]
        await asyncio.to_thread(asked.wait, PATIENCE)
        await client.close()
        answers = await asyncio.gather(*lists, client.kernels(), return_exceptions=True)
        assert {type(answer) for answer in answers} == {GatewayUnreachable}
        assert all("was removed" in str(answer) for answer in answers)
        await client.renew_connections()
        with pytest.raises(GatewayUnreachable, match="was removed"):
            await client.kernels()
        assert len(gateway.asked) <= len(lists)

    with OddGateway(hang) as gateway:
        config = Gateway(config=Config({"Gateway": {"url": gateway.url}}))
        client = RestClient(config, GatewayAuth(config), ssl.create_default_context(), _ready)
        try:
            asyncio.run(remove(client, gateway))
        finally:
            removed.set()


def test_the_notebooks_own_secrets_never_reach_the_gateway(farm: Farm, kind: str) -> None:
    gateway = farm.gateway(kind).start()
    port = int(gateway.url.rpartition(":")[2])
    with Intermediary(port) as link:
        env = {
            "JUPYTER_GATEWAY_URL": link.url,
            "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token,
            "KERNEL_USERNAME": "ada",
        }
        notebook = farm.notebook(env=env).start()
        login = notebook.get(f"/tree?token={notebook.token}", headers={"Authorization": ""})
        cookies = "; ".join(f"{c.name}={c.value}" for c in login.cookies)
        assert cookies
        with notebook.kernel() as kernel_id:
            headers = [f"Authorization: token {notebook.token}", "X-XSRFToken: xsrf-secret"]
            with notebook.channels(
                kernel_id, header=headers, cookie=cookies, origin=notebook.url
            ) as channels:
                assert channels.run("1") == "1"
            notebook.get("/api/kernelspecs", headers={"Cookie": cookies})
            notebook.get("/kernelspecs/python3/logo-64x64.png", headers={"Cookie": cookies})
        passed = bytes(link.to_gateway)
        assert gateway.token.encode() in passed
        assert b"GET /api/kernels/" in passed
        for secret in (notebook.token, "xsrf-secret", *(c.value for c in login.cookies)):
            assert str(secret).encode() not in passed
        assert b"\r\ncookie:" not in passed.lower()
        assert b"\r\norigin:" not in passed.lower()


def test_the_gateways_token_reaches_neither_page_nor_log(farm: Farm, kind: str) -> None:
    gateway = farm.gateway(kind).start()
    notebook = farm.notebook("--debug", gateway=gateway, env={"KERNEL_USERNAME": "ada"}).start()
    with notebook.kernel() as kernel_id:
        with notebook.channels(kernel_id) as channels:
            channels.run("1")
        pages = [
            "/tree",
            "/lab",
            "/api/kernels",
            f"/api/kernels/{kernel_id}",
            "/api/kernelspecs",
            "/api/sessions",
            "/api/kernels/00000000-0000-0000-0000-000000000000",
        ]
        for page in pages:
            answer = notebook.get(page)
            assert gateway.token not in answer.text + str(answer.headers), page
    gateway.kill()
    for page in pages:
        answer = notebook.get(page)
        assert gateway.token not in answer.text + str(answer.headers), page
    notebook.stop()
    assert gateway.token not in notebook.log


def test_cookies_are_kept_only_when_asked_for(farm: Farm, shared: SharedServers) -> None:
    """As a load balancer sets them to send a client to the same replica again."""
    gateway = shared.gateway("jupyter-server")
    port = int(gateway.url.rpartition(":")[2])
    for accept in ("false", "true"):
        add_cookie = (b"\r\nServer: ", b"\r\nSet-Cookie: replica=r1; Path=/\r\nServer: ")
        with Intermediary(port, add_cookie) as link:
            env = {
                "JUPYTER_GATEWAY_URL": link.url,
                "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token,
                "JUPYTER_GATEWAY_ACCEPT_COOKIES": accept,
                "JUPYTER_GATEWAY_HEADERS": '{"Cookie": "mine=1"}',
            }
            notebook = farm.notebook(env=env).start()
            with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
                channels.run("1")
            assert b"\r\nSet-Cookie: replica=r1" in link.to_server
            requests = bytes(link.to_gateway).split(b"\r\n\r\n")
            handshakes = [r for r in requests if b"/channels" in r]
            others = [r for r in requests if b"POST /api/kernels" in r]
            assert handshakes
            assert others
            for request in [*handshakes, *others]:
                assert (b"replica=r1" in request) == (accept == "true"), request
                assert b"mine=1" in request


def test_a_broken_link_closes_the_channels_and_they_come_back(farm: Farm, gateway: Server) -> None:
    port = int(gateway.url.rpartition(":")[2])
    for reset in (False, True):
        with Intermediary(port) as link:
            env = {
                "JUPYTER_GATEWAY_URL": link.url,
                "JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token,
                "KERNEL_USERNAME": "ada",
            }
            notebook = farm.notebook(env=env).start()
            with notebook.kernel() as kernel_id:
                with notebook.channels(kernel_id) as channels:
                    channels.run("x = 5")
                    link.cut(reset=reset)
                    assert_ends(channels)
                with notebook.channels(kernel_id, session_id=channels.session_id) as again:
                    assert again.run("print(x)") == "5\n"
