"""Options of the relay's two TCP sockets, and whether their peers still acknowledge data."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable

KEEPALIVE_PROBES = 3
# Offsets in Linux's struct tcp_info (linux/tcp.h).
RETRANSMITS, PROBES, LAST_ACK_RECEIVED, INFO_SIZE = 2, 3, 56, 60
MIN_UNANSWERED = 2  # a single one proves nothing: Linux answers two window probes a second at most


def tune(sock: socket.socket | None, link_timeout: float | None) -> None:
    """Disable Nagle's algorithm, and enable keepalive if there is a timeout, in seconds."""
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
    with contextlib.suppress(OSError):  # the connection was reset: the first read raises it
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            option = getattr(socket, name, None)  # which options exist depends on the platform
            if option is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def quick_ack(sock: socket.socket | None) -> Callable[[], None]:
    """A function to call after each read from ``sock``, which acknowledges the data at once.

    No Jupyter gateway sets TCP_NODELAY, so its TCP sends a second small message only after the
    acknowledgement of the first, which operating systems delay by 40 ms. Linux resets the option
    after use, hence the call after each read. Other platforms have no such option.
    """
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is None or sock is None:
        return lambda: None

    def acknowledge() -> None:
        with contextlib.suppress(OSError):  # the connection was closed: the next read raises it
            sock.setsockopt(socket.IPPROTO_TCP, option, 1)

    return acknowledge


def unacknowledged_for(sock: socket.socket | None) -> float:
    """Seconds since the peer's TCP last acknowledged anything; 0 if nothing is unacknowledged.

    A live peer that does not read still acknowledges, with a window of zero. TCP_USER_TIMEOUT, on
    Linux, would close the connection to such a peer too. Always 0 on other platforms.
    """
    option = getattr(socket, "TCP_INFO", None)
    if option is None or sys.platform != "linux" or sock is None:
        return 0.0
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, option, INFO_SIZE)
    except OSError:  # not TCP, or closed
        return 0.0
    if len(info) < INFO_SIZE or max(info[RETRANSMITS], info[PROBES]) < MIN_UNANSWERED:
        return 0.0
    return int.from_bytes(info[LAST_ACK_RECEIVED:INFO_SIZE], sys.byteorder) / 1000
