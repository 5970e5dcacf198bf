"""Makes httpx clients for a gateway, with its TLS settings and its HTTP proxy.

Environment variables such as ``HTTP_PROXY`` are ignored, as for WebSockets. Redirects are not
followed, since they could send the credentials to another server.
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
    """A pool of connections to a gateway, for GatewayHttpClient."""
    timeout = config.request_timeout
    return httpx.AsyncClient(cookies=cookies, timeout=timeout, **_options(config, tls))


def blocking_http_client(config: Gateway, tls: ssl.SSLContext, timeout: float) -> httpx.Client:
    """A client for the end of a program, when there is no event loop. ``timeout`` is in seconds."""
    return httpx.Client(timeout=timeout, **_options(config, tls))


def _options(config: Gateway, tls: ssl.SSLContext) -> dict[str, Any]:
    return {
        "verify": tls,
        "proxy": config.proxy or None,
        "trust_env": False,
        "follow_redirects": False,
        "headers": {"User-Agent": "notebook-remote"},
    }
