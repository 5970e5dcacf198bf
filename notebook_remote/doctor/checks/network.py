"""The doctor's checks of the way to a gateway: configuration, name, TCP, TLS."""

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

from ...config.gateway import Gateway
from ..findings import (
    CheckFailed,
    Result,
    about_server_here,
    good,
    in_short,
    not_tried,
    warning,
    within,
)
from ..transport import ProxyRefused, Transport

SCHEME_CHECK_TIMEOUT = 1.5  # seconds; a wrong scheme is noticed within twice as long
SOON = 14  # days before its end in which a certificate is warned about
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


class Reach:
    """What is found out on the way to a gateway. Each public method is a check.

    A check returns its Result, or raises Trouble (or what a lower library raises).
    """

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.wire = gateway, Transport(gateway)

    def use(self, url: str) -> str:
        """The advice to give another address."""
        option = self.gateway.address_option
        named = bool(self.gateway.given_name)
        return f"Use {url} as {option}." if named else f"Use {option}={url}."

    def installed(self) -> Result:
        """The jupyter_server of this environment, which serves the pages."""
        return about_server_here(version("jupyter_server"))

    def configuration(self) -> Result:
        """Token, headers and TLS files can be read."""
        gateway = self.gateway
        self.wire.take_credentials()
        self.wire.take_tls_files()
        source = "no token"
        if gateway.gateway_token_renewer_class.__name__ != "NoOpTokenRenewer":
            source = f"a token from {gateway.gateway_token_renewer_class.__name__}"
        elif gateway.auth_token_file:
            source = f"a token from {gateway.auth_token_file}"
        elif gateway.auth_token:
            source = "a token"
        if gateway.http_user:
            source += ", a user name and password"
        return good(f"Gateway {gateway.url} in mode {gateway.mode!r}, with {source}.")

    # -- the way there --------------------------------------------------------------------------

    def name(self) -> Result:
        """The host's name resolves, or the proxy's, which knows the host."""
        wire = self.wire
        if wire.proxy.hostname:
            return self._proxy_name()
        try:
            found = socket.getaddrinfo(wire.host, wire.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # of a name that can be none
            raise CheckFailed(
                f"The name {wire.host!r} cannot be resolved.",
                f"Check its spelling in {self.gateway.address_option}, and the network or VPN."
                + about_proxies(),
            ) from None
        wire.addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        return good(f"{wire.host} is {', '.join(wire.addresses)}.")

    def _proxy_name(self) -> Result:
        host, port = str(self.wire.proxy.hostname), self.wire.proxy.port or 80
        try:
            socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise CheckFailed(
                f"The name {host!r} of the proxy cannot be resolved.",
                "Check its spelling in Gateway.proxy, and the network or VPN.",
            ) from None
        self.wire.addresses = [self.wire.host]
        return good(f"{self.wire.host} is left to the proxy {host}, whose name resolves.")

    def connect(self) -> Result:
        """TCP connects, at each address."""
        wire, reached, failed = self.wire, [], {}
        for address in wire.addresses[:8]:
            try:
                wire.connect(address, wire.port).close()
                reached.append(address)
            except OSError as error:  # noqa: PERF203 - the others are tried too
                failed[address] = error
        if not reached:
            raise self._unreachable(failed)
        wire.addresses = reached
        text = f"Port {wire.port} takes connections at {', '.join(reached)}."
        if failed and not all(map(is_loopback, failed)):
            return warning(
                f"{text} Not at {', '.join(failed)} ({in_short(next(iter(failed.values())))}).",
                "Whoever gets these addresses from the DNS waits or fails: start the gateway there,"
                " or take them out.",
            )
        return good(text)

    def _unreachable(self, failed: dict[str, OSError]) -> CheckFailed:
        where = f"{self.wire.host}:{self.wire.port}"
        if self.wire.proxy.hostname:
            return self._no_way_through(where, next(iter(failed.values())))
        if all(isinstance(error, ConnectionRefusedError) for error in failed.values()):
            return CheckFailed(
                f"Nothing listens at {where} (connection refused).",
                f"Start the gateway, or correct host and port in {self.gateway.address_option}."
                " A gateway that listens on its own loopback only (127.0.0.1) needs --ip=0.0.0.0"
                " or an SSH tunnel.",
            )
        if any(isinstance(error, TimeoutError) for error in failed.values()):
            return CheckFailed(
                f"No answer from {where} within {self.wire.limit:g} s.",
                "Check that the computer is up and that no firewall is in the way."
                + about_proxies(),
            )
        return CheckFailed(
            f"No connection to {where}: {in_short(next(iter(failed.values())))}.",
            "Check the network, VPN and routes to it." + about_proxies(),
        )

    def _no_way_through(self, where: str, error: OSError) -> CheckFailed:
        if isinstance(error, ProxyRefused):
            return CheckFailed(
                f"The proxy does not let us through to {where} ({error}).",
                "Give it a user and password in Gateway.proxy, if it asks for them, or have it"
                f" allow this host and port; check them in {self.gateway.address_option}, too.",
            )
        return CheckFailed(
            f"No connection to the proxy {self.wire.proxy.hostname}: {in_short(error)}.",
            "Correct Gateway.proxy, or start it.",
        )

    def tls(self) -> Result:
        """TLS, and the certificate: who vouches for it, for which names, how long."""
        wire = self.wire
        if not wire.secure:
            if all(map(is_loopback, wire.addresses)):
                return not_tried("The URL begins with http://, on this computer's loopback.")
            return warning(
                "The URL begins with http://: token and messages travel unencrypted.",
                "Use https:// (a gateway takes --certfile and --keyfile), or an SSH tunnel, unless"
                " you trust everybody on this network.",
            )
        strict = ssl.create_default_context(cafile=self.gateway.ca_certs or None)
        if self.gateway.client_cert:
            strict.load_cert_chain(self.gateway.client_cert, self.gateway.client_key or None)
        try:
            try:
                spoken, certificate = within(SCHEME_CHECK_TIMEOUT, lambda: self.shake_hands(strict))
            except TimeoutError:  # a slow line, or no TLS there
                self._notice_no_tls()
                spoken, certificate = self.shake_hands(strict)
        except ssl.SSLCertVerificationError as error:
            if self.gateway.validate_cert:
                raise self._distrust(error, strict) from None
            return warning(
                f"Encrypted, but anybody in between could pose as the gateway: its certificate is"
                f" not trusted ({error.verify_message}), and Gateway.validate_cert is off.",
                "Name the authority that signed it with Gateway.ca_certs and switch"
                " Gateway.validate_cert on.",
            )
        except OSError as error:
            raise self._no_tls(error) from None
        return self._about_certificate(spoken, certificate)

    def shake_hands(self, context: ssl.SSLContext) -> tuple[str, dict[str, Any]]:
        """The version of TLS and the certificate, as ``context`` sees it. Raises OSError."""
        wire = self.wire
        with (
            wire.connect(wire.addresses[0], wire.port) as sock,
            context.wrap_socket(sock, server_hostname=wire.host) as tls,
        ):
            return str(tls.version()), dict(tls.getpeercert() or {})

    def _about_certificate(self, spoken: str, certificate: dict[str, Any]) -> Result:
        until = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
        days = int((until - time.time()) / 86400)
        issuer = {k: v for pairs in certificate.get("issuer", ()) for k, v in pairs}
        by = issuer.get("organizationName") or issuer.get("commonName") or "an unnamed authority"
        text = f"{spoken}, certificate for {self.wire.host} by {by}, good for {days} more days."
        if not self.gateway.validate_cert:
            return warning(
                f"{text} It is not looked at, since Gateway.validate_cert is off.",
                "Switch Gateway.validate_cert on: the certificate is good.",
            )
        return warning(text, "Renew it soon.") if days < SOON else good(text)

    def _distrust(self, error: ssl.SSLCertVerificationError, strict: ssl.SSLContext) -> CheckFailed:
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
                f"The certificate is not for {self.wire.host!r} but for {self._names(strict)}.",
                f"Use such a name in {self.gateway.address_option}, or have a certificate made for"
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

    def _names(self, strict: ssl.SSLContext) -> str:
        """For whom a certificate is, whose authority is trusted."""
        strict.check_hostname = False
        try:
            certificate = self.shake_hands(strict)[1]
        except OSError:
            return "another name"
        return ", ".join(str(n) for _, n in certificate.get("subjectAltName", ())) or "no name"

    def _no_tls(self, error: OSError) -> CheckFailed:
        self._notice_no_tls()
        return CheckFailed(
            f"No TLS connection: {in_short(error)}.",
            "If the gateway asks for a certificate of yours, give one with"
            " --Gateway.client_cert and --Gateway.client_key; else look at its log, and at"
            " which versions of TLS it allows.",
        )

    def _notice_no_tls(self) -> None:
        """Raise Trouble if what listens there answers HTTP without TLS."""
        plain = urlunsplit(urlsplit(self.gateway.url)._replace(scheme="http"))
        try:
            answer = self.wire.ask(
                "GET", "/api", proof=False, base=plain, seconds=SCHEME_CHECK_TIMEOUT
            )
        except requests.RequestException:
            return
        if answer.status_code == 400:  # as nginx answers where it speaks TLS
            return
        raise CheckFailed(
            f"What listens at port {self.wire.port} speaks HTTP without TLS.",
            f"{self.use(plain)} Or switch TLS on at the gateway.",
        )


def is_loopback(host: str) -> bool:
    """Whether a name or address is this computer's own."""
    try:
        return host == "localhost" or ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def about_proxies() -> str:
    """A hint for those whose way out is a proxy, of which we have not been told."""
    names = [name for name in os.environ if name.upper() in PROXIES and os.environ[name]]
    return f" ({names[0]} is set; notebook-remote uses Gateway.proxy only.)" if names else ""
