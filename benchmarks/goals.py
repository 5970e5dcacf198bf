"""The panels of the report, and the project's goals for them."""

from __future__ import annotations

from dataclasses import dataclass

LEGS = {"browser": "TLS to the browser", "gateway": "TLS to the gateway", "both": "TLS on both"}
PEERS = {
    "local": "jupyter notebook, local kernel",
    "stock": "jupyter notebook --gateway-url",
    "direct": "directly at the gateway",
    "nginx": "nginx, default buffers",
    "nginx-64k": "nginx with 64 kB buffers",
    "ours": "notebook-remote",
    "ours-local": "notebook-remote --mode=local",
    "ours-direct": "notebook-remote --mode=direct",
    "embedded": "notebook-remote, embedded gateway",
}


@dataclass(frozen=True)
class Goal:
    """A limit for one peer's figure, compared with another's (``than``) or absolute.

    ``times`` limits the ratio, ``plus`` the difference: from above, or from below if ``more``.
    """

    peer: str
    than: str = ""
    times: float | None = None
    plus: float | None = None
    more: bool = False

    @property
    def limit(self) -> float:
        """The limit of the ratio or difference."""
        limit = self.times if self.times is not None else self.plus
        assert limit is not None  # for the type checker
        return limit

    def compare(self, figure: float, yardstick: float) -> float:
        """Return the ratio or the difference that is limited."""
        return figure / yardstick if self.times is not None else figure - yardstick

    def bound(self, yardstick: float) -> float:
        """Return the figure that just meets the goal."""
        return yardstick * self.limit if self.times is not None else yardstick + self.limit

    def met(self, compared: float) -> bool:
        """Return whether a ratio or difference meets the goal."""
        return compared >= self.limit if self.more else compared <= self.limit


@dataclass(frozen=True)
class Panel:
    """One chart: figures of several peers in one unit."""

    key: str
    title: str
    unit: str
    goals: tuple[Goal, ...] = ()
    digits: int = 2


def at_most(peer: str, times: float, than: str) -> Goal:
    """The figure is at most ``times`` the other peer's."""
    return Goal(peer, than, times=times)


def at_least(peer: str, times: float, than: str) -> Goal:
    """The figure is at least ``times`` the other peer's."""
    return Goal(peer, than, times=times, more=True)


def within(peer: str, plus: float, than: str = "") -> Goal:
    """The figure exceeds the other peer's, or zero, by at most ``plus``."""
    return Goal(peer, than, plus=plus)


RATE = (at_least("ours", 0.8, "nginx"), at_least("ours", 8, "stock"))
CPU = (at_most("ours", 4, "nginx"), at_most("ours", 0.1, "stock"))
BULK = (at_least("ours", 0.85, "nginx"),)
TLS = tuple(at_least(f"ours: {leg}", 0.5, f"nginx: {leg}") for leg in LEGS)

PANELS = (
    Panel(
        "execute",
        "A trivial cell on a real kernel, cells in immediate succession",
        "ms",
        (at_most("ours", 0.22, "local"), at_most("ours-local", 0.22, "local")),
    ),
    Panel("execute-paused", "The same with a pause of most of a second between cells", "ms"),
    Panel(
        "hop", "Round trip, gateway replies immediately", "ms", (within("ours", 0.3, "direct"),), 3
    ),
    Panel("small", "Messages of 200 bytes, 20 in one write", "1000/s", RATE, 0),
    Panel("small-cpu", "CPU for a message of 200 bytes, 20 in one write", "µs", CPU, 3),
    Panel("single", "Messages of 200 bytes, one in one write", "1000/s", RATE[:1], 0),
    Panel("single-cpu", "CPU for a message of 200 bytes, one in one write", "µs", CPU),
    Panel("bulk", "200 MB in messages of 1 MB", "MB/s", BULK, 0),
    Panel("frame", "100 MB in one message", "MB/s", BULK, 0),
    Panel("bulk-cpu", "CPU for 100 MB, in messages of 1 MB", "ms", digits=0),
    *(
        Panel(f"{key}-memory", f"Growth of memory: {what}", "MB", (within("ours", 8),), 1)
        for key, what in {
            "small": "small messages, 20 in one write",
            "single": "small messages, one in one write",
            "bulk": "200 MB in messages of 1 MB",
            "frame": "100 MB in one message",
        }.items()
    ),
    Panel("tls-small", "Messages of 200 bytes with TLS, 20 in one write", "1000/s", TLS, 0),
    Panel("tls-single", "Messages of 200 bytes with TLS, one in one write", "1000/s", TLS, 0),
    Panel("tls-bulk", "200 MB in messages of 1 MB with TLS", "MB/s", TLS, 0),
    Panel(
        "scale",
        "500 kernels, one request a second each: 99th percentile",
        "ms",
        (within("ours", 50, "direct"), within("ours: no listing", 50, "direct")),
    ),
    Panel("scale-median", "500 kernels, one request a second each: median", "ms"),
    Panel(
        "scale-memory", "Memory for the channels of an idle kernel", "kB", (within("ours", 100),), 1
    ),
    Panel("kernels", "List 200 kernels", "ms", (within("ours", 3, "direct"),)),
    Panel("sessions", "List 200 sessions", "ms", (within("ours", 3, "direct"),)),
    Panel(
        "open",
        "Open a notebook, real kernel, start of its process excluded",
        "ms",
        (within("ours", 30, "direct"),),
        0,
    ),
    Panel(
        "open-instant",
        "Open a notebook, kernel starts immediately",
        "ms",
        (within("ours", 30, "direct"),),
    ),
)


def display_name(peer: str) -> str:
    """Return a peer's name for people; a variant follows a colon in the key."""
    who, _, how = peer.partition(": ")
    return f"{PEERS[who]}, {LEGS.get(how, how)}" if how else PEERS[who]
