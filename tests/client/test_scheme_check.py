"""An address with the wrong scheme is noticed soon, and the right one is named."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator

import pytest

from notebook_remote.client.errors import WrongScheme
from notebook_remote.client.rest import RestClient
from notebook_remote.client.scheme_check import check_scheme, connect_checking_scheme
from notebook_remote.exceptions import GatewayUnreachable

from ..support.recipes import ask
from ..support.servers import Farm
from ..support.shared_servers import SharedServers

SOON = 5.0  # seconds; the promise is 3, on a quiet machine


@pytest.fixture
def answers_400() -> Iterator[int]:
    """The port of what answers plain HTTP as nginx does where it speaks TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(1000)
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_wrong_scheme_is_noticed_soon(
    farm: Farm, shared: SharedServers, tls: tuple[str, str, str]
) -> None:
    plain = shared.gateway("jupyter-server")
    secure = farm.gateway("jupyter-server", tls=tls).start()

    async def use(client: RestClient) -> None:
        with pytest.raises(GatewayUnreachable) as caught:
            await asyncio.wait_for(client.kernelspecs(), SOON)
        expected.append(caught.value.message)

    expected: list[str] = []
    ask(plain, use, url=plain.url.replace("http:", "https:"))
    ask(plain, use, url=secure.url.replace("https:", "http:"))
    assert "speaks HTTP without TLS: write http:// in place of https:// in --g" in expected[0]
    assert "speaks TLS: write https:// in place of http:// in --gateway-url" in expected[1]


def test_a_right_scheme_is_left_alone(
    shared: SharedServers, tls: tuple[str, str, str], answers_400: int
) -> None:
    plain = shared.gateway("jupyter-server")

    limits = []

    async def slow(limit: float) -> str:
        limits.append(limit)
        return await asyncio.wait_for(asyncio.sleep(1.5, "answer"), limit)

    async def use() -> None:
        assert (
            await connect_checking_scheme(f"https://127.0.0.1:{answers_400}", "", 5.0, slow)
            == "answer"
        )
        assert limits == [1.0, 5.0]
        await check_scheme("https://localhost:1", "")  # where nothing listens
        await check_scheme(f"https://127.0.0.1:{answers_400}", "")
        with pytest.raises(WrongScheme, match="ws://localhost:"):
            await check_scheme(plain.url.replace("http:", "wss:") + "/x?token=1", "")

    asyncio.run(use())
