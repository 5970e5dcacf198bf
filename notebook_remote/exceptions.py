"""What can go wrong with a gateway, and the HTTP status each case has for the page.

::

    GatewayError                    (tornado.web.HTTPError)
    ├── GatewayUnreachable      503  no answer: down, wrong host, blocked, broken TLS, too slow
    ├── GatewayAuthError        424  the gateway refused our token
    ├── GatewayAnswerError      424  the answer is not that of a Jupyter gateway
    ├── GatewayRefused          403  the gateway does not start this kernel for this user
    ├── GatewayLimitReached     429  the gateway starts no more kernels
    ├── KernelStartFailed       502  the gateway could not start the kernel
    ├── KernelExists            409  a kernel with this id runs already (a DuplicateKernelError)
    ├── StartCancelled          409  the user cancelled the start of the kernel
    ├── ReplyLost               502  a reply was lost with a connection (headless clients)
    ├── BrowserModeOnly         501  in browser mode pages do this, and the server cannot
    ├── KernelSpecNotFound      501  the gateway has no such kernelspec (a NoSuchKernel)
    └── KernelNotFound          404  the gateway says that this kernel does not exist

JupyterLab's front end tries again later after a 503 or a 424; after any other error about a kernel
it declares the kernel dead. So every error that does not prove a kernel gone has one of the two.

The classes derive from tornado's ``HTTPError``, so that handlers of third-party extensions, which
call our managers as they call the stock ones, answer with the right status too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.multikernelmanager import DuplicateKernelError
from tornado import web


class GatewayError(web.HTTPError):
    """Base class; ``message`` is one sentence: what is wrong, and what the user can do."""

    http_status: ClassVar[int] = 502

    def __init__(self, message: str) -> None:
        # tornado doubles every % in a log_message without arguments, because it formats it later;
        # self.message is the text for people.
        super().__init__(self.http_status, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class GatewayUnreachable(GatewayError):
    """No answer from the gateway. Its kernels may still be running."""

    http_status = 503
    request_sent = True  # whether the gateway may have received the request, and may act on it


class GatewayAuthError(GatewayError):
    """The gateway refused our token, user or certificate."""

    http_status = 424


class GatewayAnswerError(GatewayError):
    """The answer is not that of a Jupyter gateway; most often the URL is wrong."""

    http_status = 424


class GatewayRefused(GatewayError):
    """The gateway does not start this kernel for this user."""

    http_status = 403


class GatewayLimitReached(GatewayError):
    """The gateway's limit on the number of kernels is reached."""

    http_status = 429


class KernelStartFailed(GatewayError):
    """The gateway could not start or restart the kernel; the message quotes its reason."""

    http_status = 502


class KernelExists(GatewayError, DuplicateKernelError):
    """The id for a new kernel is that of a running one, ours or somebody else's.

    Also a ``DuplicateKernelError``, which jupyter_server's session handler knows.
    """

    http_status = 409


class StartCancelled(GatewayError):
    """The user cancelled the start of the kernel."""

    http_status = 409


class BrowserModeOnly(GatewayError):
    """In browser mode only pages start and use kernels, and this server was asked to."""

    http_status = 501

    def __init__(self) -> None:
        super().__init__(
            "With --mode=browser kernels are started and used by the page itself, never by this"
            " server: reload the page; if that does not help, its extension notebook-remote was"
            " not loaded, or is switched off. Other programs go to the gateway."
        )


class ReplyLost(GatewayError):
    """The reply to a request was lost; the kernel may have run none, some or all of the code."""


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
    """The gateway says that this kernel does not exist; only this proves a kernel gone."""

    http_status = 404


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all its causes, outermost first."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        # A host with several addresses: their errors come as an exception group (3.11+).
        queue += [
            *getattr(current, "exceptions", ()),
            getattr(current, "real_error", None),  # of tornado's StreamClosedError
            current.__cause__,
            current.__context__,
        ]
