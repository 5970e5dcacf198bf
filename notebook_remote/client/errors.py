"""Maps failed requests and unusable answers to errors that say what is wrong, and what to do."""

from __future__ import annotations

import json
import re
import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx
from tornado.util import TimeoutError as TornadoTimeoutError

from ..config.gateway import Gateway
from ..exceptions import (
    GatewayAnswerError,
    GatewayAuthError,
    GatewayError,
    GatewayLimitReached,
    GatewayRefused,
    GatewayUnreachable,
    KernelSpecNotFound,
    KernelStartFailed,
    causes,
)
from ..net.http_proxy import TunnelRefused
from ..redaction import without_secrets
from ..types import JsonObject
from .address import GatewayAddress
from .auth import GatewayAuth

UNAVAILABLE = (502, 503, 504)  # statuses of a gateway, or a proxy, that may work again later
MAX_WARNINGS = 100  # about one gateway's answers


class WrongScheme(OSError):
    """An address has http for a server with TLS, or https for one without."""

    def __init__(self, right: str) -> None:
        super().__init__(right)
        self.right = right  # the address with the right scheme, without its path


def unreachable(
    url: str, error: BaseException, proxy: str = "", option: str = "--gateway-url"
) -> GatewayUnreachable:
    """The error for a request or WebSocket handshake to ``url`` that failed below HTTP.

    ``error`` is what the lower library raised, ``proxy`` the HTTP proxy, if any, and ``option`` the
    option with which the user configured the address.
    """
    parts = urlsplit(url)
    where = without_secrets(url)
    for cause in causes(error):
        if isinstance(cause, WrongScheme):
            scheme = urlsplit(cause.right).scheme
            speaks = "TLS" if scheme in ("https", "wss") else "HTTP without TLS"
            return GatewayUnreachable(
                f"What listens at {parts.netloc.rpartition('@')[2]} speaks {speaks}: write"
                f" {scheme}:// in place of {parts.scheme}:// in {option}."
            )
        if isinstance(cause, TunnelRefused):
            return GatewayUnreachable(
                f"The proxy at {without_secrets(proxy)} does not let us through to {where}"
                f" ({cause}): give it a user and password in Gateway.proxy, if it asks for them,"
                " or have it allow this host and port."
            )
        if proxy and isinstance(cause, (socket.gaierror, ConnectionRefusedError)):
            return GatewayUnreachable(
                f"There is no proxy at {without_secrets(proxy)} ({type(cause).__name__}): correct"
                " Gateway.proxy, or start it."
            )
        if isinstance(cause, ssl.SSLCertVerificationError):
            return GatewayUnreachable(
                f"The certificate of {where} is not trusted ({cause.verify_message}): give the"
                " certificate authority that signed it with --Gateway.ca_certs=FILE, or correct"
                " the host name in the URL."
            )
        if isinstance(cause, ssl.SSLError):
            return GatewayUnreachable(
                f"No TLS connection to {where} ({cause.reason or cause}): if the gateway asks for a"
                " client certificate, give one with --Gateway.client_cert and --Gateway.client_key;"
                " else look at its log."
            )
        if isinstance(cause, socket.gaierror):
            return GatewayUnreachable(
                f"The host name {parts.hostname!r} of the gateway cannot be resolved: check its"
                f" spelling in {option}, and the network or VPN."
            )
        if isinstance(cause, ConnectionRefusedError):
            return GatewayUnreachable(
                f"Nothing listens at {where} (connection refused): start the gateway, or correct"
                f" the host and port in {option}."
            )
        if isinstance(cause, (TimeoutError, TornadoTimeoutError)):
            return GatewayUnreachable(
                f"The gateway at {where} did not answer in time: check that it is up and that no"
                " firewall is in the way; --Gateway.connect_timeout and --Gateway.request_timeout"
                " set how long to wait."
            )
    hint = "http://" if parts.scheme in ("https", "wss") else "https://"
    return GatewayUnreachable(
        f"The connection to the gateway at {where} broke off ({type(error).__name__}): check that"
        f" it is up; if it should be reached by {hint}, say so in {option}."
    )


class GatewayErrors:
    """Makes the errors, and logs the warnings, for one gateway's answers."""

    def __init__(self, config: Gateway, address: GatewayAddress, auth: GatewayAuth) -> None:
        self._config = config
        self._address = address
        self._auth = auth
        self._warnings: set[str] = set()

    @property
    def where(self) -> str:
        """The gateway's URL for a sentence, without secrets."""
        return without_secrets(self._address.url)

    def closed(self) -> GatewayUnreachable:
        """The error for a request after the client was closed."""
        return GatewayUnreachable(
            f"The gateway at {self.where} is not used any more: it was removed or moved to another"
            " address, or this server is being stopped."
        )

    def no_answer(self, error: Exception) -> GatewayUnreachable:
        """The error for a request that failed with an error of httpx, or WrongScheme."""
        cause: Exception = error
        if isinstance(error, httpx.TimeoutException):
            cause = TimeoutError()
        elif isinstance(error, httpx.ProxyError):
            cause = TunnelRefused(str(error))
        result = self._unreachable(cause)
        result.request_sent = not isinstance(
            error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, WrongScheme)
        )
        return result

    def _unreachable(self, cause: Exception) -> GatewayUnreachable:
        config = self._config
        return unreachable(self._address.url, cause, config.proxy, config.address_option)

    def refused_token(self, status: int) -> GatewayAuthError:
        """The error for a response that rejects our credentials."""
        has_token = bool(self._auth.credentials.auth_token)
        verb = "refused our token" if has_token else "wants a token and got none"
        return GatewayAuthError(
            f"The gateway at {self.where} {verb} (HTTP {status}):"
            f" {self._config.how_to_give_a_token}."
        )

    def for_status(self, response: httpx.Response) -> GatewayError:
        """The error for a response with a status of 300 or more."""
        status = response.status_code
        if status in (401, 403):
            return self.refused_token(status)
        if status == 407:
            return self._unreachable(TunnelRefused(f"HTTP {status}"))
        if status < 400:
            target = response.headers.get("Location", "")
            if "login" in target:
                return self.refused_token(status)
            return GatewayAnswerError(
                f"The gateway's URL {self.where} redirects to"
                f" {without_secrets(urlsplit(target)._replace(query='').geturl())}: use the URL of"
                f" the gateway itself in {self._config.address_option}."
            )
        if status in UNAVAILABLE:
            return GatewayUnreachable(
                f"The gateway at {self.where} is not available (HTTP {status}):"
                " it may be starting, or a proxy in front of it finds it down."
            )
        return self.unexpected(response)

    def unexpected(self, response: httpx.Response) -> GatewayAnswerError:
        """The error for a response that is not a Jupyter gateway's."""
        text = explanation(response)
        return GatewayAnswerError(
            f"{self.where} does not answer {urlsplit(str(response.request.url)).path} as a"
            f" Jupyter gateway does (HTTP {response.status_code}{': ' + text if text else ''}):"
            f" check host, port and path prefix in {self._config.address_option}."
        )

    def start_refused(self, response: httpx.Response) -> GatewayError:
        """The error for a 403 to the start of a kernel."""
        if not isinstance(json_body(response), dict):
            return self.unexpected(response)  # a proxy's page, or that of a wrong address
        text = explanation(response)
        if re.search(r"limit|max kernels", text, re.IGNORECASE):
            return GatewayLimitReached(
                f"The gateway at {self.where} starts no more kernels ({text}): shut down one"
                " that you no longer need, or ask its administrator for more."
            )
        if not text or text == "Forbidden" or "_xsrf" in text:
            return self.refused_token(403)
        return GatewayRefused(f"The gateway at {self.where} refuses to start it: {text}")

    def start_failed(self, what: str, response: httpx.Response) -> KernelStartFailed:
        """The error for a start or restart that the gateway could not complete."""
        text = explanation(response) or "without saying why"
        return KernelStartFailed(
            f"{what} by the gateway at {self.where}: {text} (HTTP {response.status_code})."
            " The gateway's log has the details."
        )

    def kernelspec_not_found(
        self, name: str, listed: JsonObject | None = None
    ) -> KernelSpecNotFound:
        """The error for an unknown kernelspec; ``listed`` are those that the gateway has."""
        known = f" It has: {', '.join(sorted(listed)[:20])}." if listed else ""
        return KernelSpecNotFound(
            name,
            f"The gateway at {self.where} has no kernelspec {name!r}.{known} Pick another kernel,"
            " or install this one on the gateway.",
        )

    def warn_once(self, sentence: str) -> None:
        """Log a warning, unless it was logged before."""
        if sentence not in self._warnings and len(self._warnings) < MAX_WARNINGS:
            self._warnings.add(sentence)
            self._config.log.warning("%s", sentence)


def json_body(response: httpx.Response) -> Any:
    """The JSON value in a response; None if it is not JSON."""
    try:
        return response.json()
    except (ValueError, RecursionError):  # not JSON, or nested too deeply
        return None


def explanation(response: httpx.Response) -> str:
    """The gateway's own explanation of an error: one line, without markup, traceback or secrets."""
    model = json_body(response)
    if isinstance(model, dict):
        fields = [model.get(key) for key in ("message", "reason", "detail")]
        text = max((value for value in fields if isinstance(value, str)), key=len, default="")
    elif "json" in response.headers.get("Content-Type", ""):
        text = json.dumps(model)
    else:
        title = re.search(r"<title>(.*?)</title>", response.text, re.DOTALL | re.IGNORECASE)
        text = title.group(1) if title else ""
    return without_secrets(" ".join(text.split()))[:500].rstrip(".")
