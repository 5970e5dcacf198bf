"""Examines a gateway: what works, what does not, and what to do about it.

The command prints each finding as it comes; the server runs ``examine`` in a thread. The
examination shares nothing with our client and relay but the configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from ..config.gateway import Gateway
from .channels import Closed
from .checks import kernel, messages, network, rest
from .checks.local import examine_here
from .context import LARGE_TIMEOUT, Context
from .findings import SINCE, CheckFailed, Finding, Result, in_short, within

__all__ = ["Finding", "examine"]
DEFAULT_ORIGIN = "http://localhost:8888"


class Check(NamedTuple):
    """One line of the report: its name, the check that it depends on, and its time limit."""

    name: str
    needs: str
    run: Callable[[Context], Result]
    timeouts: float = 4.0  # times Gateway.connect_timeout
    extra: float = 0.0  # seconds
    waits_for_start: bool = False  # whether Gateway.start_timeout is added

    def time_limit(self, gateway: Gateway) -> float:
        """Seconds after which the check has failed."""
        seconds = self.timeouts * float(gateway.connect_timeout) + self.extra
        return seconds + gateway.start_timeout if self.waits_for_start else seconds


CHECKS = (
    Check("jupyter_server", "", network.check_installed),
    Check("configuration", "", network.check_configuration),
    Check("name", "configuration", network.check_name, 1),
    Check("connect", "name", network.check_connect, 9),
    Check("TLS", "connect", network.check_tls),
    Check("HTTP", "TLS", rest.check_http),
    Check("clock", "HTTP", rest.check_clock),
    Check("token", "HTTP", rest.check_token),
    Check("gateway", "token", rest.check_kind_and_version, 6),
    Check("add-on", "gateway", rest.check_add_on),
    Check("kernelspecs", "token", rest.check_kernelspecs),
    Check("kernel start", "kernelspecs", kernel.check_start, waits_for_start=True),
    Check("replicas", "kernel start", kernel.check_replicas, 9),
    Check("channels", "replicas", kernel.check_channels, waits_for_start=True),
    Check("subprotocol", "channels", messages.check_subprotocol),
    Check("round trip", "channels", messages.check_round_trip, 9),
    Check("status", "round trip", messages.check_status),
    Check("binary", "status", messages.check_binary),
    Check("11 MiB up", "binary", messages.check_large_to_kernel, 4, 3 * LARGE_TIMEOUT),
    Check("11 MiB down", "binary", messages.check_large_from_kernel, 4, 2 * LARGE_TIMEOUT),
    Check("output limits", "binary", messages.check_output_limits, 4, 3 * LARGE_TIMEOUT),
    Check("idle", "round trip", messages.check_idle, 2, 3.0),
    Check("ticket", "round trip", messages.check_ticket, 5),
    Check("clean-up", "", kernel.check_shutdown, 6),
)


def examine(
    gateway: Gateway,
    *,
    kernel_name: str = "",
    origin: str = DEFAULT_ORIGIN,
    on_check: Callable[[str], None] = lambda name: None,
    on_interrupted: Callable[[Finding], None] = lambda finding: None,
) -> Iterator[Finding]:
    """Examine a gateway and yield a finding for each check; none has a secret in it.

    ``kernel_name``: the kernelspec to start, else one of Python's. ``origin``: of the pages that
    will use a ticket. ``on_check`` is called with the name of each check before it runs. Raises
    nothing. A caller that stops before the end closes the generator: then the kernel is shut down,
    and ``on_interrupted`` is called with the finding of that.
    """
    if gateway.embedded or gateway.mode == "local":
        yield from examine_here(gateway, on_check)
        return
    context = Context(gateway, kernel_name, origin)
    root_cause: dict[str, str] = {}  # of checks that failed, or were skipped for a failed one
    cleaned_up = False
    try:
        for check in CHECKS:
            if check.needs in root_cause:
                root_cause[check.name] = root_cause[check.needs]
                yield Finding(check.name, "skip", SINCE.format(root_cause[check.needs]))
                continue
            on_check(check.name)
            finding = run_check(check, context)
            cleaned_up = check.name == "clean-up"
            if finding.verdict == "fail":
                root_cause[check.name] = check.name
            yield finding
    finally:
        if not cleaned_up:
            on_interrupted(run_check(CHECKS[-1], context))


def run_check(check: Check, context: Context) -> Finding:
    """Run a check and return its finding without secrets."""
    finding, redact = _finding(check, context), context.transport.redact
    return replace(finding, text=redact(finding.text), next_step=redact(finding.next_step))


def _finding(check: Check, context: Context) -> Finding:
    """Run a check within its time limit, and turn its result or error into a finding."""
    try:
        limit = check.time_limit(context.gateway)
        verdict, text, next_step = within(limit, lambda: check.run(context))
    except CheckFailed as failure:
        return Finding(check.name, "fail", failure.text, failure.next_step)
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
