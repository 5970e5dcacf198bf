"""The state of every link (one page's channels to one kernel, over all its reconnects).

The channels handler reports here; our REST endpoint, the event and the metrics are made from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from jupyter_events import EventLogger

from ...exceptions import GatewayError
from ...net.leg import CloseReason, Traffic
from ...net.relay import Relay
from . import metrics

EVENT_SCHEMA = Path(__file__).parent / "event_schemas" / "link.yaml"
EVENT_SCHEMA_ID = "https://events.jupyter.org/notebook_remote/link/v1"
MAX_LOST_LINKS = 200  # that are remembered until their page reconnects
Event = dict[str, Any]


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Link:
    """One page's channels to one kernel, over all its connections."""

    kernel_id: str
    session_id: str  # of the page, the same over all reconnects
    state: str = "connecting"  # connecting | connected | silent | lost
    since: datetime = field(default_factory=_now)
    attempt: int = 1
    attempts: int = 1
    connections: int = 0
    error: str = ""
    relay: Relay | None = None
    unsent: bytes = b""  # messages of the page that wait for its next connection
    # By direction: what the metrics have counted of this connection, and all earlier connections.
    counted: dict[str, Traffic] = field(default_factory=dict)
    earlier: dict[str, Traffic] = field(default_factory=dict)

    def change(self, state: str, error: str = "") -> None:
        """Set a new state; an error stays until the link is connected again."""
        if state != self.state:
            self.since = _now()
        self.state = state
        self.error = error or self.error

    def traffic(self, direction: str) -> Traffic:
        """What was received from one side over all connections."""
        now = getattr(self.relay, direction) if self.relay is not None else Traffic()
        before = self.earlier.get(direction, Traffic())
        return Traffic(before.frames + now.frames, before.bytes + now.bytes)


DIRECTIONS = ("from_browser", "from_gateway")
LEGS = ("browser", "gateway")


EventListener = Callable[[Event], object]


class Links:
    """The links of one backend. ``emit`` is called with the data of an event for each change."""

    def __init__(self, backend: str, emit: EventListener = lambda event: None) -> None:
        self.backend = backend
        self.emit = emit
        self._links: list[Link] = []
        self._open: Counter[str] = Counter()  # connections, by the kernel's id

    def __iter__(self) -> Iterator[Link]:
        return iter(self._links)

    # -- called by the channels handler ----------------------------------------------------------

    def open(self, kernel_id: str, session_id: str) -> Link:
        """A page requests a kernel's channels: a new link, or one that it had lost."""
        for link in self._links:
            if link.state == "lost" and (link.kernel_id, link.session_id) == (
                kernel_id,
                session_id,
            ):
                return link
        link = Link(kernel_id, session_id)
        self._links.append(link)
        return link

    def on_attempt(self, link: Link, attempt: int, attempts: int) -> None:
        """An attempt to connect to the gateway begins."""
        link.attempt, link.attempts = attempt, attempts
        link.change("connecting")
        self._emit(link, attempt=attempt, attempts=attempts)

    def on_failure(self, link: Link, error: GatewayError) -> None:
        """The gateway could not be reached, or refused."""
        metrics.ERRORS.labels(kind=type(error).__name__).inc()
        self._on_lost(link, error.message)

    def on_connected(self, link: Link, relay: Relay) -> None:
        """The channels are open at both sides."""
        link.relay = relay
        link.error = ""
        link.connections += 1
        self._open[link.kernel_id] += 1
        link.change("connected")
        metrics.OPEN_CHANNELS.inc()
        if link.connections > 1:
            metrics.RECONNECTS.inc()
        self._emit(link)

    def on_message_refused(self, link: Link, sentence: str) -> None:
        """A message of the page was not passed on to the gateway."""
        metrics.ERRORS.labels(kind="message_too_large").inc()
        link.error = sentence
        self._emit(link, state="refused")

    def on_disconnected(self, link: Link, reason: CloseReason) -> None:
        """The connection has ended; unless the page left, it is expected to reconnect."""
        self.measure(link)
        if link.relay is not None:
            link.unsent = link.relay.unsent
        metrics.OPEN_CHANNELS.dec()
        link.earlier = {direction: link.traffic(direction) for direction in DIRECTIONS}
        link.relay, link.counted = None, {}
        self._open[link.kernel_id] -= 1
        if not self._open[link.kernel_id]:
            del self._open[link.kernel_id]
        if reason.by == "server" or reason.kind == "left":
            self.remove(link)
        else:
            metrics.ERRORS.labels(kind=f"{reason.by}_{reason.kind}").inc()
            self._on_lost(link, reason.text)

    def remove(self, link: Link) -> None:
        """The page has left, or its kernel is gone."""
        if link in self._links:
            self._links.remove(link)
            self._emit(link, state="closed")

    def measure(self, link: Link) -> None:
        """Bring the metrics up to date; called every few seconds and at the end."""
        relay = link.relay
        if relay is None:
            return
        state = "silent" if relay.silence is not None else "connected"
        if link.state != state and link.state in ("silent", "connected"):
            link.change(state)
            self._emit(link)
        for direction in DIRECTIONS:
            now: Traffic = getattr(relay, direction)
            before = link.counted.get(direction, Traffic())
            metrics.FRAMES.labels(direction=direction).inc(now.frames - before.frames)
            metrics.BYTES.labels(direction=direction).inc(now.bytes - before.bytes)
            link.counted[direction] = Traffic(now.frames, now.bytes)
        for leg in LEGS:
            round_trip = getattr(relay, leg).round_trip
            if round_trip is not None:
                metrics.ROUND_TRIP.labels(leg=leg).observe(round_trip)

    # -- state, and ends of kernels --------------------------------------------------------------

    def open_connections(self, kernel_id: str) -> int:
        """How many connections to a kernel are open."""
        return self._open[kernel_id]

    def close(self, kernel_id: str) -> None:
        """Close every connection to a kernel, so that pages ask for its state and reconnect."""
        for link in [link for link in self._links if link.kernel_id == kernel_id]:
            if link.relay is not None:
                link.relay.close()

    def forget(self, kernel_id: str) -> None:
        """Close the connections to a kernel that is gone, and remove its lost links."""
        self.close(kernel_id)
        self._links = [
            link for link in self._links if link.kernel_id != kernel_id or link.state != "lost"
        ]

    def on_kernel_gone(self, kernel_id: str, reason: str) -> None:
        """Emit an event for the pages that a kernel is gone, and why; then as ``forget``."""
        for link in self._links:
            if link.kernel_id == kernel_id:
                link.error = reason
                self._emit(link, state="gone")
        self.forget(kernel_id)

    def models(self) -> list[dict[str, Any]]:
        """Every link as our REST API shows it: times in seconds, sizes in bytes."""
        return [self._model(link) for link in self._links]

    def _model(self, link: Link) -> dict[str, Any]:
        relay = link.relay
        trips = {leg: getattr(relay, leg).round_trip if relay else None for leg in LEGS}
        return {
            "kernel_id": link.kernel_id,
            "session_id": link.session_id,
            "backend": self.backend,
            "state": link.state,
            "since": link.since.isoformat().replace("+00:00", "Z"),
            "attempt": link.attempt,
            "attempts": link.attempts,
            "reconnects": max(link.connections - 1, 0),
            "round_trip_time": trips,
            **{direction: asdict(link.traffic(direction)) for direction in DIRECTIONS},
            "last_error": link.error or None,
        }

    def _on_lost(self, link: Link, error: str) -> None:
        link.change("lost", error)
        self._emit(link)
        lost = [link for link in self._links if link.state == "lost"]
        for old in lost[:-MAX_LOST_LINKS]:
            self._links.remove(old)

    def _emit(self, link: Link, state: str = "", **more: int) -> None:
        event = {
            "kernel_id": link.kernel_id,
            "session_id": link.session_id,
            "backend": self.backend,
            "state": state or link.state,
            **more,
        }
        if link.error:
            event["error"] = link.error
        self.emit(event)


def event_listener(logger: EventLogger) -> EventListener:
    """A listener for ``Links`` that emits every change with jupyter_server's event logger.

    Called once, when the app starts.
    """
    logger.register_event_schema(EVENT_SCHEMA)
    return lambda event: logger.emit(schema_id=EVENT_SCHEMA_ID, data=event)
