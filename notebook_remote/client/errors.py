"""One sentence for each way in which a gateway cannot be reached, with what to do about it."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from tornado.util import TimeoutError as TornadoTimeoutError

from ..exceptions import GatewayUnreachable, causes
from ..net.http_proxy import TunnelRefused
from ..redaction import without_secrets


class WrongScheme(OSError):
    """An address has http where TLS is spoken, or https where it is not."""

    def __init__(self, right: str) -> None:
        super().__init__(right)
        self.right = right  # the address with the right scheme, without its path


def unreachable(
    url: str, error: BaseException, proxy: str = "", option: str = "--gateway-url"
) -> GatewayUnreachable:
    """Say in one sentence why there was no answer from ``url``, and what to do about it.

    Called where a request or a WebSocket handshake failed below HTTP, with whatever the lower
    library raised. ``proxy`` is the one that was asked to let us through; ``option`` is what the
    user has given the address with.
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
