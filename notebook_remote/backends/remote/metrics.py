"""Prometheus metrics of the relay, shown at ``/metrics`` next to jupyter_server's.

No label has a kernel's id or anything a user wrote: their number would grow without
bound, and readers of metrics need not know who runs what.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

OPEN_CHANNELS = Gauge(
    "notebook_remote_open_channels", "Channels of kernels on a gateway that are open"
)
FRAMES = Counter(
    "notebook_remote_relayed_frames", "WebSocket frames that came from an end", ["direction"]
)
BYTES = Counter("notebook_remote_relayed_bytes", "Bytes that came from an end", ["direction"])
RECONNECTS = Counter(
    "notebook_remote_reconnects", "Channels that were opened again after they were lost"
)
ERRORS = Counter(
    "notebook_remote_errors",
    "Channels that could not be opened, or were lost, and messages refused, by what was wrong",
    ["kind"],
)
ROUND_TRIP = Histogram(
    "notebook_remote_round_trip_seconds",
    "Time from a ping to its pong",
    ["leg"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
