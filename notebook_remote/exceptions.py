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

from collections.abc import Iterator
from typing import ClassVar

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.multikernelmanager import DuplicateKernelError
from tornado import web


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


class BrowserModeOnly(GatewayError):
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
