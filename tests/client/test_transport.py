"""The HTTP clients for a gateway use its options, and nothing of the environment."""

from __future__ import annotations

import asyncio
import ssl
from http.cookiejar import CookieJar

import pytest

from notebook_remote.client.transport import async_http_client, blocking_http_client
from notebook_remote.config.gateway import Gateway


def test_both_clients_ignore_proxies_of_the_environment_and_redirects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://elsewhere:1")
    config, tls = Gateway(url="https://host"), ssl.create_default_context()

    async def check() -> None:
        async with async_http_client(config, tls, CookieJar()) as client:
            assert not client.trust_env
            assert not client.follow_redirects
            assert client.timeout.read == config.request_timeout

    asyncio.run(check())
    with blocking_http_client(config, tls, 3.0) as client:
        assert not client.trust_env
        assert not client.follow_redirects
        assert client.timeout.read == 3.0
