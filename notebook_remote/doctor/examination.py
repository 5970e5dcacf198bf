"""A second opinion on a gateway: what works, what does not, and what to do about it.

``examine`` is for whoever wants to know: the command prints each finding as it comes, the server
runs it in a thread. It shares nothing with our client and relay but the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from ..config.gateway import Gateway
from .channels import Closed
from .checks.local import examine_here
from .checks.messages import LARGE_LIMIT, MessageChecks
from .findings import SINCE, CheckFailed, Finding, Result, in_short, within

__all__ = ["Finding", "examine"]
DEFAULT_ORIGIN = "http://localhost:8888"


class Check(NamedTuple):
    """One line of the report: its name, what it needs, and for how many limits it may take."""

    name: str
    needs: str
    run: Callable[[MessageChecks], Result]
    patience: float = 4.0  # times Gateway.connect_timeout
    extra: float = 0.0  # seconds
    starts: bool = False  # whether it waits for a kernel's start


CHECKS = (
    Check("jupyter_server", "", MessageChecks.installed),
    Check("configuration", "", MessageChecks.configuration),
    Check("name", "configuration", MessageChecks.name, 1),
    Check("connect", "name", MessageChecks.connect, 9),
    Check("TLS", "connect", MessageChecks.tls),
    Check("HTTP", "TLS", MessageChecks.http),
    Check("clock", "HTTP", MessageChecks.clock),
    Check("token", "HTTP", MessageChecks.token),
    Check("gateway", "token", MessageChecks.kind_and_version, 6),
    Check("add-on", "gateway", MessageChecks.addon),
    Check("kernelspecs", "token", MessageChecks.specs),
    Check("kernel start", "kernelspecs", MessageChecks.start, starts=True),
    Check("replicas", "kernel start", MessageChecks.replicas, 9),
    Check("channels", "replicas", MessageChecks.channels, starts=True),
    Check("subprotocol", "channels", MessageChecks.subprotocol),
    Check("round trip", "channels", MessageChecks.round_trip, 9),
    Check("status", "round trip", MessageChecks.status),
    Check("binary", "status", MessageChecks.echo),
    Check("11 MiB up", "binary", MessageChecks.large_to_kernel, 4, 3 * LARGE_LIMIT),
    Check("11 MiB down", "binary", MessageChecks.large_from_kernel, 4, 2 * LARGE_LIMIT),
    Check("output limits", "binary", MessageChecks.output_limits, 4, 3 * LARGE_LIMIT),
    Check("idle", "round trip", MessageChecks.idle, 2, 3.0),
    Check("ticket", "round trip", MessageChecks.ticket, 5),
    Check("clean-up", "", MessageChecks.stop, 6),
)


def examine(
    gateway: Gateway,
    *,
    kernel_name: str = "",
    origin: str = DEFAULT_ORIGIN,
    on_check: Callable[[str], None] = lambda name: None,
    on_broken_off: Callable[[Finding], None] = lambda finding: None,
) -> Iterator[Finding]:
    """Examine a gateway and yield a finding for each check; none has a secret in it.

    ``kernel_name``: the kernelspec to start, else one of Python's. ``origin``: of the pages that
    will use a ticket. ``on_check`` is told the name of each check before it runs. Raises nothing of
    its own. Whoever stops before the end closes the generator: the kernel is shut down then, and
    ``on_broken_off`` is told whether that worked.
    """
    if gateway.embedded or gateway.mode == "local":
        yield from examine_here(gateway, on_check)
        return
    checks = MessageChecks(gateway, kernel_name, origin)
    missing: dict[str, str] = {}  # what failed, or was not tried for that, and what began it
    stopped = False
    try:
        for check in CHECKS:
            if check.needs in missing:
                missing[check.name] = missing[check.needs]
                yield Finding(check.name, "skip", SINCE.format(missing[check.needs]))
                continue
            on_check(check.name)
            finding = shown(check, checks)
            stopped = check.name == "clean-up"
            if finding.verdict == "fail":
                missing[check.name] = check.name
            yield finding
    finally:
        if not stopped:
            on_broken_off(shown(CHECKS[-1], checks))


def shown(check: Check, checks: MessageChecks) -> Finding:
    """Run a check and return its finding without secrets."""
    finding, wire = outcome(check, checks), checks.wire
    return replace(finding, text=wire.shown(finding.text), next_step=wire.shown(finding.next_step))


def outcome(check: Check, checks: MessageChecks) -> Finding:
    """Run a check, within its time, and put what comes of it into a finding."""
    gateway = checks.gateway
    seconds = check.patience * checks.wire.limit + check.extra
    if check.starts:
        seconds += gateway.start_timeout
    try:
        verdict, text, next_step = within(seconds, lambda: check.run(checks))
    except CheckFailed as trouble:
        return Finding(check.name, "fail", trouble.text, trouble.next_step)
    except TimeoutError as error:
        return Finding(
            check.name,
            "fail",
            f"This check did not end in time: {error}.",
            "Look at the gateway's log and load; --Gateway.connect_timeout sets how long to wait.",
        )
    except Closed as closed:
        return Finding(
            check.name,
            "fail",
            f"The kernel's WebSocket ended: {closed}.",
            "Look at the gateway's log, and for a proxy in between that ends connections.",
        )
    except Exception as error:  # noqa: BLE001 - a report goes on, whatever one check meets
        return Finding(
            check.name,
            "fail",
            f"This check broke off ({type(error).__name__}): {in_short(error)}.",
            "Look at the gateway's log and try again; if it stays, report this line as a bug.",
        )
    return Finding(check.name, verdict, text, next_step)
