"""What can go wrong with a gateway, and the HTTP status each case has for the page.

::

    GatewayError                    (tornado.web.HTTPError)
    ├── GatewayUnreachable      503  no answer: down, wrong host, blocked, broken TLS, too slow
    ├── GatewayAuthError        424  it answered, and refused our token
    ├── GatewayAnswerError      424  it answered, and not as a Jupyter gateway does
    ├── GatewayRefused          403  it refuses to start this kernel for this user
    ├── GatewayLimitReached     429  it refuses to start more kernels
    ├── KernelStartFailed       502  it tried to start the kernel and could not
    ├── KernelExists            409  a kernel of this id runs there already (also upstream's error)
    ├── StartCancelled          409  somebody cancelled the start of the kernel
    ├── ReplyLost               502  a link broke off, and a reply was lost with it (headless)
    ├── LeftToPages             501  browser mode: a page does it, and this server does not
    ├── KernelSpecNotFound      501  it has no kernelspec of this name (also a NoSuchKernel)
    └── KernelNotFound          404  it says that this very kernel does not exist

503 and 424 are the two statuses that JupyterLab's front end takes for "ask again later"; for any
other error about a kernel it declares the kernel dead. So everything that does not prove a kernel
gone has one of the two.

The tree stands under tornado's ``HTTPError`` so that the handlers of other people's extensions,
which call our managers as they call the stock ones, answer with the right status too.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import urlsplit

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.multikernelmanager import DuplicateKernelError
from tornado import web
from tornado.util import TimeoutError as TornadoTimeoutError


class GatewayError(web.HTTPError):
    """Something is wrong with the gateway; ``message`` is one sentence with the next step."""

    http_status: ClassVar[int] = 502

    def __init__(self, message: str) -> None:
        # tornado doubles every % in a log_message without arguments, because it formats it later;
        # self.message is the text as a person should read it.
        super().__init__(self.http_status, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class GatewayUnreachable(GatewayError):
    """No answer from the gateway. It says nothing about the kernels there."""

    http_status = 503
    request_sent = True  # whether the gateway may have got the request, and may act on it


class GatewayAuthError(GatewayError):
    """The gateway refused our token, user or certificate."""

    http_status = 424


class GatewayAnswerError(GatewayError):
    """What answered does not answer as a Jupyter gateway does: most often a wrong URL."""

    http_status = 424


class GatewayRefused(GatewayError):
    """The gateway refuses to start a kernel for this user."""

    http_status = 403


class GatewayLimitReached(GatewayError):
    """The gateway's limit of kernels is reached."""

    http_status = 429


class KernelStartFailed(GatewayError):
    """The gateway could not start or restart the kernel; its own words are in the message."""

    http_status = 502


class KernelExists(GatewayError, DuplicateKernelError):
    """A start with the id of a kernel that runs already, ours or somebody else's.

    Also a ``DuplicateKernelError``, which jupyter_server's session handler knows.
    """

    http_status = 409


class StartCancelled(GatewayError):
    """The start of a kernel was cancelled by its user."""

    http_status = 409


class LeftToPages(GatewayError):
    """Something that only a page does in browser mode was asked of this server."""

    http_status = 501

    def __init__(self) -> None:
        super().__init__(
            "With --mode=browser kernels are started and used by the page itself, never by this"
            " server: reload the page; if that does not help, its extension notebook-remote was"
            " not loaded, or is switched off. Other programs go to the gateway."
        )


class ReplyLost(GatewayError):
    """A kernel's reply to a request will never come, and whether it did all of it is not known."""


class KernelSpecNotFound(GatewayError, NoSuchKernel):
    """The gateway has no kernelspec of this name.

    Also a ``NoSuchKernel``, which jupyter_server's session handler answers with a 501 that
    offers to pick another kernel.
    """

    http_status = 501

    def __init__(self, name: str, message: str) -> None:
        GatewayError.__init__(self, message)
        self.name = name


class KernelNotFound(GatewayError):
    """The gateway says that it has no such kernel. Only this ends a kernel on our side."""

    http_status = 404


# Before the host of a URL: all up to the last @, since people write passwords as they are. One with
# a slash in it is no URL, but a password; a port before a slash is not.
USER_INFO = re.compile(r"(://)(?:[^/?#\s'\"]*@|[^/?#\s@:\['\"]*:(?!\d+[/?#])[^\s'\"]*@)")
SECRET_PARAMETER = re.compile(
    r"([?&;#][^=&;\s]*(?:token|ticket|pass|pwd|secret|key|auth|credential|signature)[^=&;\s]*=)"
    r"[^&;\s'\"]+",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """Take user names, passwords and tokens out of the URLs in a text, before it is shown."""
    return SECRET_PARAMETER.sub(r"\1[secret]", USER_INFO.sub(r"\1", text))


def unusable_address(text: str) -> str:
    """What is shown of an address that cannot be used: nothing of what is before its last @.

    It need not be a URL, so all of that may be a password; only a scheme that we know stays.
    """
    scheme = re.match(r"(?:https?|wss?)://", text, re.IGNORECASE)
    before, _, rest = text.rpartition("@")
    return without_secrets((scheme[0] if scheme and before else "") + rest)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and everything that led to it, outermost first."""
    seen: set[int] = set()
    to_see = [error]
    while to_see:
        current = to_see.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        # Several addresses of one host that were tried come as an exception group (3.11+).
        to_see += [
            *getattr(current, "exceptions", ()),
            getattr(current, "real_error", None),  # of tornado's StreamClosedError
            current.__cause__,
            current.__context__,
        ]


def http_error_behind(error: BaseException | None) -> web.HTTPError | None:
    """The error that a handler should answer with, where jupyter_server hides it behind a 500.

    Its handlers turn whatever a manager raises on a start or a restart into a bare 500.
    """
    errors = [e for e in causes(error) if isinstance(e, web.HTTPError)]
    if errors and errors[0] is error and errors[0].status_code != 500:
        return errors[0]
    return next((e for e in errors if e.status_code != 500), None)


def sentence_of(error: web.HTTPError) -> str:
    """The text of an error as a person should read it."""
    if isinstance(error, GatewayError):
        return error.message
    return (error.log_message or error.reason or "") % error.args


class TunnelRefused(OSError):
    """A proxy does not let us through; the text is what it answered."""


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
