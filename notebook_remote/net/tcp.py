"""What TCP is told, and asked, about the relay's two sockets."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable

KEEPALIVE_PROBES = 3
# Where struct tcp_info of Linux has what we ask for (linux/tcp.h).
RETRANSMITS, PROBES, LAST_ACK_RECEIVED, INFO_SIZE = 2, 3, 56, 60
UNANSWERED = 2  # one alone may be: Linux answers probes of its window every half second at most


def tune(sock: socket.socket | None, link_timeout: float | None) -> None:
    """No waiting for small packets, nor for ever on an idle peer that has gone.

    The latter only with a timeout, in seconds.
    """
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    if link_timeout is None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return
    idle = max(1, int(link_timeout / 2))
    interval = max(1, int((link_timeout - idle) / KEEPALIVE_PROBES))
    options = {
        "TCP_NODELAY": 1,
        "TCP_KEEPIDLE" if sys.platform != "darwin" else "TCP_KEEPALIVE": idle,
        "TCP_KEEPINTVL": interval,
        "TCP_KEEPCNT": KEEPALIVE_PROBES,
    }
    with contextlib.suppress(OSError):  # reset meanwhile: the first read says so
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            option = getattr(socket, name, None)  # which of them exist depends on the platform
            if option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def quick_ack(sock: socket.socket | None) -> Callable[[], None]:
    """A function that acknowledges at once what was read from ``sock``, where that is possible.

    No Jupyter gateway sets TCP_NODELAY, so it holds a second small message back until the first
    is acknowledged, which the kernel of an operating system delays by 40 ms. Linux forgets the
    option after use; hence the call after each read.
    """
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is None or sock is None:
        return lambda: None

    def acknowledge() -> None:
        with contextlib.suppress(OSError):  # closed meanwhile: the next read says so
            sock.setsockopt(socket.IPPROTO_TCP, option, 1)

    return acknowledge


def unacknowledged_for(sock: socket.socket | None) -> float:
    """Seconds for which the other end's TCP has owed us an answer; 0 if it owes none.

    A peer that is there and reads nothing answers (with a window of zero), and owes none: unlike
    TCP_USER_TIMEOUT, which on Linux gives such a peer up too, this tells it from one that has
    gone. 0 as well where the platform does not tell.
    """
    option = getattr(socket, "TCP_INFO", None)
    if option is None or sys.platform != "linux" or sock is None:
        return 0.0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, option, INFO_SIZE)
    except OSError:  # not TCP, or closed meanwhile
        return 0.0
    if len(info) < INFO_SIZE or max(info[RETRANSMITS], info[PROBES]) < UNANSWERED:
        return 0.0
    return int.from_bytes(info[LAST_ACK_RECEIVED:INFO_SIZE], sys.byteorder) / 1000
