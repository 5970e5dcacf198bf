"""Makes the HTTP clients for a gateway: with its TLS settings and HTTP proxy, and nothing else.

Variables of the environment such as ``HTTP_PROXY`` do not count, as for the WebSockets, and no
redirect is followed: it could take the credentials elsewhere.
"""

from __future__ import annotations

import ssl
from http.cookiejar import CookieJar
from typing import Any

import httpx

from ..config.gateway import Gateway


def async_http_client(
    config: Gateway, tls: ssl.SSLContext, cookies: CookieJar
) -> httpx.AsyncClient:
    """A pool of connections to a gateway, for RestClient."""
    timeout = config.request_timeout
    return httpx.AsyncClient(cookies=cookies, timeout=timeout, **_options(config, tls))


def blocking_http_client(config: Gateway, tls: ssl.SSLContext, timeout: float) -> httpx.Client:
    """A client for the end of a program, which has no event loop any more. Seconds."""
    return httpx.Client(timeout=timeout, **_options(config, tls))


def _options(config: Gateway, tls: ssl.SSLContext) -> dict[str, Any]:
    return {
        "verify": tls,
        "proxy": config.proxy or None,
        "trust_env": False,
        "follow_redirects": False,
        "headers": {"User-Agent": "notebook-remote"},
    }
