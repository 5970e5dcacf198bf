"""The doctor's checks of the way to a gateway: configuration, name, TCP, TLS.

A check is a function of the context. It returns its Result, or raises CheckFailed (or an error of a
lower library).
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from importlib.metadata import version
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests

from ..context import Context
from ..findings import (
    CheckFailed,
    Result,
    about_server_here,
    in_short,
    passed,
    skipped,
    warned,
    within,
)
from ..transport import ProxyRefused

SCHEME_CHECK_TIMEOUT = 1.5  # seconds; a wrong scheme is noticed within twice as long
EXPIRY_WARNING = 14  # days before its end in which a certificate gets a warning
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


def advise_address(context: Context, url: str) -> str:
    """The advice to use another address of the gateway."""
    option = context.gateway.address_option
    named = bool(context.gateway.given_name)
    return f"Use {url} as {option}." if named else f"Use {option}={url}."


def check_installed(context: Context) -> Result:
    """The jupyter_server of this environment, which serves the pages."""
    return about_server_here(version("jupyter_server"))


def check_configuration(context: Context) -> Result:
    """Token, headers and TLS files can be read."""
    gateway = context.gateway
    context.transport.load_credentials()
    context.transport.load_tls_files()
    source = "no token"
    if gateway.gateway_token_renewer_class.__name__ != "NoOpTokenRenewer":
        source = f"a token from {gateway.gateway_token_renewer_class.__name__}"
    elif gateway.auth_token_file:
        source = f"a token from {gateway.auth_token_file}"
    elif gateway.auth_token:
        source = "a token"
    if gateway.http_user:
        source += ", a user name and password"
    return passed(f"Gateway {gateway.url} in mode {gateway.mode!r}, with {source}.")


def check_name(context: Context) -> Result:
    """The host's name resolves, or the proxy's, which knows the host."""
    wire = context.transport
    if wire.proxy.hostname:
        return _proxy_name(context)
    try:
        found = socket.getaddrinfo(wire.host, wire.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # UnicodeError: the name is impossible
        raise CheckFailed(
            f"The name {wire.host!r} cannot be resolved.",
            f"Check its spelling in {context.gateway.address_option}, and the network or VPN."
            + about_proxies(),
        ) from None
    wire.addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return passed(f"{wire.host} is {', '.join(wire.addresses)}.")


def _proxy_name(context: Context) -> Result:
    host, port = str(context.transport.proxy.hostname), context.transport.proxy.port or 80
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise CheckFailed(
            f"The name {host!r} of the proxy cannot be resolved.",
            "Check its spelling in Gateway.proxy, and the network or VPN.",
        ) from None
    context.transport.addresses = [context.transport.host]
    return passed(f"{context.transport.host} is left to the proxy {host}, whose name resolves.")


def check_connect(context: Context) -> Result:
    """TCP connects, at each address."""
    wire, reached, failed = context.transport, [], {}
    for address in wire.addresses[:8]:
        try:
            wire.connect(address, wire.port).close()
            reached.append(address)
        except OSError as error:  # noqa: PERF203 - the others are tried too
            failed[address] = error
    if not reached:
        raise _unreachable(context, failed)
    wire.addresses = reached
    text = f"Port {wire.port} takes connections at {', '.join(reached)}."
    if failed and not all(map(is_loopback, failed)):
        return warned(
            f"{text} Not at {', '.join(failed)} ({in_short(next(iter(failed.values())))}).",
            "Whoever gets these addresses from the DNS waits or fails: start the gateway there,"
            " or take them out.",
        )
    return passed(text)


def _unreachable(context: Context, failed: dict[str, OSError]) -> CheckFailed:
    where = f"{context.transport.host}:{context.transport.port}"
    if context.transport.proxy.hostname:
        return _proxy_refuses(context, where, next(iter(failed.values())))
    if all(isinstance(error, ConnectionRefusedError) for error in failed.values()):
        return CheckFailed(
            f"Nothing listens at {where} (connection refused).",
            f"Start the gateway, or correct host and port in {context.gateway.address_option}."
            " A gateway that listens on its own loopback only (127.0.0.1) needs --ip=0.0.0.0"
            " or an SSH tunnel.",
        )
    if any(isinstance(error, TimeoutError) for error in failed.values()):
        return CheckFailed(
            f"No answer from {where} within {context.transport.limit:g} s.",
            "Check that the computer is up and that no firewall is in the way." + about_proxies(),
        )
    return CheckFailed(
        f"No connection to {where}: {in_short(next(iter(failed.values())))}.",
        "Check the network, VPN and routes to it." + about_proxies(),
    )


def _proxy_refuses(context: Context, where: str, error: OSError) -> CheckFailed:
    if isinstance(error, ProxyRefused):
        return CheckFailed(
            f"The proxy does not let us through to {where} ({error}).",
            "Give it a user and password in Gateway.proxy, if it asks for them, or have it"
            f" allow this host and port; check them in {context.gateway.address_option}, too.",
        )
    return CheckFailed(
        f"No connection to the proxy {context.transport.proxy.hostname}: {in_short(error)}.",
        "Correct Gateway.proxy, or start it.",
    )


def check_tls(context: Context) -> Result:
    """TLS works, and the certificate is valid: its authority, names and time."""
    wire = context.transport
    if not wire.secure:
        if all(map(is_loopback, wire.addresses)):
            return skipped("The URL begins with http://, on this computer's loopback.")
        return warned(
            "The URL begins with http://: token and messages travel unencrypted.",
            "Use https:// (a gateway takes --certfile and --keyfile), or an SSH tunnel, unless"
            " you trust everybody on this network.",
        )
    strict = ssl.create_default_context(cafile=context.gateway.ca_certs or None)
    if context.gateway.client_cert:
        strict.load_cert_chain(context.gateway.client_cert, context.gateway.client_key or None)
    try:
        try:
            tls_version, certificate = within(
                SCHEME_CHECK_TIMEOUT, lambda: tls_handshake(context, strict)
            )
        except TimeoutError:  # a slow line, or no TLS there
            _notice_no_tls(context)
            tls_version, certificate = tls_handshake(context, strict)
    except ssl.SSLCertVerificationError as error:
        if context.gateway.validate_cert:
            raise _distrust(context, error, strict) from None
        return warned(
            f"Encrypted, but anybody in between could pose as the gateway: its certificate is"
            f" not trusted ({error.verify_message}), and Gateway.validate_cert is off.",
            "Name the authority that signed it with Gateway.ca_certs and switch"
            " Gateway.validate_cert on.",
        )
    except OSError as error:
        raise _tls_failed(context, error) from None
    return _check_certificate(context, tls_version, certificate)


def tls_handshake(context: Context, trust: ssl.SSLContext) -> tuple[str, dict[str, Any]]:
    """The version of TLS and the certificate, as ``trust`` sees it. Raises OSError."""
    wire = context.transport
    with (
        wire.connect(wire.addresses[0], wire.port) as sock,
        trust.wrap_socket(sock, server_hostname=wire.host) as tls,
    ):
        return str(tls.version()), dict(tls.getpeercert() or {})


def _check_certificate(context: Context, tls_version: str, certificate: dict[str, Any]) -> Result:
    until = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    days = int((until - time.time()) / 86400)
    issuer = {k: v for pairs in certificate.get("issuer", ()) for k, v in pairs}
    by = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
    host = context.transport.host
    text = f"{tls_version}, certificate for {host} by {by}, good for {days} more days."
    if not context.gateway.validate_cert:
        return warned(
            f"{text} It is not looked at, since Gateway.validate_cert is off.",
            "Switch Gateway.validate_cert on: the certificate is good.",
        )
    return warned(text, "Renew it soon.") if days < EXPIRY_WARNING else passed(text)


def _distrust(
    context: Context, error: ssl.SSLCertVerificationError, strict: ssl.SSLContext
) -> CheckFailed:
    if error.verify_code == 10:
        return CheckFailed(
            "The gateway's certificate has expired.",
            "Renew it at the gateway (or at the proxy in front of it) and restart that; check"
            " this computer's clock, too.",
        )
    if error.verify_code == 9:
        return CheckFailed(
            "The gateway's certificate is not valid yet.",
            "Check the clock of this computer, and that of the one that made it.",
        )
    if error.verify_code in (62, 64):
        return CheckFailed(
            f"The certificate is not for {context.transport.host!r} but for"
            f" {_names(context, strict)}.",
            f"Use such a name in {context.gateway.address_option}, or have a certificate made for"
            " this one.",
        )
    self_signed = error.verify_code == 18
    return CheckFailed(
        "The certificate is signed by itself and by nobody known here."
        if self_signed
        else f"Who signed the certificate is not known here ({error.verify_message}).",
        "Give "
        + ("it" if self_signed else "the certificate of the authority (and of those between)")
        + " in a PEM file with --Gateway.ca_certs=FILE.",
    )


def _names(context: Context, strict: ssl.SSLContext) -> str:
    """The names in a certificate whose authority is trusted."""
    strict.check_hostname = False
    try:
        certificate = tls_handshake(context, strict)[1]
    except OSError:
        return "another name"
    return ", ".join(str(n) for _, n in certificate.get("subjectAltName", ())) or "no name"


def _tls_failed(context: Context, error: OSError) -> CheckFailed:
    _notice_no_tls(context)
    return CheckFailed(
        f"No TLS connection: {in_short(error)}.",
        "If the gateway asks for a certificate of yours, give one with"
        " --Gateway.client_cert and --Gateway.client_key; else look at its log, and at"
        " which versions of TLS it allows.",
    )


def _notice_no_tls(context: Context) -> None:
    """Raise CheckFailed if the port answers HTTP without TLS."""
    plain = urlunsplit(urlsplit(context.gateway.url)._replace(scheme="http"))
    try:
        answer = context.transport.request(
            "GET", "/api", authenticated=False, base=plain, seconds=SCHEME_CHECK_TIMEOUT
        )
    except requests.RequestException:
        return
    if answer.status_code == 400:  # as nginx answers where it speaks TLS
        return
    raise CheckFailed(
        f"What listens at port {context.transport.port} speaks HTTP without TLS.",
        f"{advise_address(context, plain)} Or switch TLS on at the gateway.",
    )


def is_loopback(host: str) -> bool:
    """Whether a name or address is this computer's own."""
    try:
        return host == "localhost" or ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def about_proxies() -> str:
    """A hint if the environment names a proxy, which is not used."""
    names = [name for name in os.environ if name.upper() in PROXIES and os.environ[name]]
    return f" ({names[0]} is set; notebook-remote uses Gateway.proxy only.)" if names else ""
