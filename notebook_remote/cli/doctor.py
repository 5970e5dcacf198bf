"""The command ``jupyter notebook-remote doctor``: prints the findings of the doctor."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, ClassVar

from traitlets import Bool, TraitError, Unicode

from .._version import __version__
from ..config.base_app import GatewayApp
from ..config.gateway import Gateway
from ..config.named import Gateways
from ..doctor.examination import DEFAULT_ORIGIN, examine
from ..doctor.findings import SINCE, Finding
from ..redaction import redacted_address, without_secrets
from .interrupts import INTERRUPTED, USAGE_ERROR, interrupt_on_signals

COLOURS = {"pass": "32", "warn": "33", "fail": "31", "skip": "2"}
NAME_WIDTH = 14
EXAMPLES = """\
jupyter notebook-remote doctor                                  # what is configured
jupyter notebook-remote doctor --gateway-url=https://gpu:8888   # this gateway
jupyter notebook-remote doctor --json > report.json
"""


class Report:
    """Prints findings as lines; on a terminal in colours, and with the running check."""

    def __init__(self) -> None:
        self._skipped: list[Finding] = []  # since an earlier check failed
        self.terminal = sys.stdout.isatty()
        self.colours = self.terminal and "NO_COLOR" not in os.environ
        self.width = max(60, min(shutil.get_terminal_size().columns, 100))

    def heading(self, gateway: Gateway) -> None:
        """Print which gateway is examined."""
        where = f" at {without_secrets(gateway.url)}" if gateway.given_name else ""
        label = f"{gateway.label}{where}"
        print(f"{label[:1].upper()}{label[1:]}, mode {gateway.mode!r}:", flush=True)

    def running(self, name: str) -> None:
        """Show the running check, until its finding replaces the line."""
        if self.terminal:
            print(f"  ....  {name}", end="", flush=True)

    def finding(self, finding: Finding) -> None:
        """Print a finding and its next step; one line for all checks skipped after a failure."""
        if finding.verdict == "skip" and finding.text.startswith(SINCE.partition("{")[0]):
            self._skipped.append(finding)
            return
        self._print_skipped()
        self._print(finding)

    def _print_skipped(self) -> None:
        skipped, self._skipped = self._skipped, []
        for text in dict.fromkeys(finding.text for finding in skipped):
            names = ", ".join(finding.name for finding in skipped if finding.text == text)
            self._print(Finding("", "skip", f"{text.removesuffix('.')}: {names}."))

    def _print(self, finding: Finding) -> None:
        word: str = finding.verdict
        if self.colours:
            word = f"\x1b[{COLOURS[finding.verdict]}m{word}\x1b[0m"
        start = f"  {finding.verdict}  {finding.name:{NAME_WIDTH}} "
        indent = " " * len(start)
        lines = self._wrapped(finding.text, len(start)) or [""]
        if finding.next_step:
            lines += self._wrapped(f"-> {finding.next_step}", len(start))
        whole = (start + f"\n{indent}".join(lines)).replace(finding.verdict, word, 1)
        print(f"{self._erase()}{whole}", flush=True)

    def _wrapped(self, text: str, indent: int) -> list[str]:
        # Words are not broken: people copy options and addresses from here.
        width = self.width - indent
        return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)

    def total(self, findings: list[Finding], seconds: float) -> None:
        """Print the number of each verdict."""
        self._print_skipped()
        count = Counter(finding.verdict for finding in findings)
        outcome = "It does not work" if count["fail"] else "It works"
        print(
            f"{self._erase()}{outcome}: {count['pass']} passed, {count['warn']} with a warning,"
            f" {count['fail']} failed, {count['skip']} not tried, in {seconds:.0f} s.",
            flush=True,
        )

    def say(self, text: str) -> None:
        """Print a line of its own."""
        print(f"{self._erase()}{text}", flush=True)

    def _erase(self) -> str:
        return "\r\x1b[K" if self.terminal else ""


class SilentReport(Report):
    """Prints nothing, for --json."""

    def __init__(self) -> None:
        """Needs no terminal."""

    def heading(self, gateway: Gateway) -> None:
        """Print nothing."""

    def running(self, name: str) -> None:
        """Print nothing."""

    def finding(self, finding: Finding) -> None:
        """Print nothing."""

    def total(self, findings: list[Finding], seconds: float) -> None:
        """Print nothing."""

    def say(self, text: str) -> None:
        """Print nothing."""


class DoctorApp(GatewayApp):
    """Say what works between this computer and the gateway, and what to do about the rest.

    It takes the options, environment variables and configuration files of `jupyter
    notebook-remote`, starts a kernel on each gateway, tries it, and shuts it down again. The exit
    code is 0 if nothing failed, else 1.
    """

    name = "jupyter-notebook-remote-doctor"
    description = __doc__
    version = __version__
    examples = EXAMPLES
    aliases: ClassVar[dict[str, Any]] = {
        **GatewayApp.aliases,
        "kernel": "DoctorApp.kernel_name",
        "origin": "DoctorApp.origin",
    }
    flags: ClassVar[dict[str, Any]] = {
        **GatewayApp.flags,
        "json": ({"DoctorApp": {"as_json": True}}, "Print one JSON document and nothing else."),
    }

    as_json = Bool(False, help="Print one JSON document and nothing else.").tag(config=True)
    kernel_name = Unicode(
        "", help="The kernelspec to start. Empty: the default one, or another one of Python's."
    ).tag(config=True)
    origin = Unicode(
        DEFAULT_ORIGIN,
        help="The origin of the notebook server's pages, for tickets: what the browser's address"
        " bar shows before the first single slash.",
    ).tag(config=True)

    report: Report

    def gateways(self) -> list[Gateway]:
        """The configured gateways. Raises TraitError for an invalid configuration."""
        return Gateways(parent=self).all()

    def start(self) -> None:
        """Examine all gateways, print, and leave with the exit code."""
        super().start()
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a gateway's messages may be in any script
        if self.extra_args:
            words = redacted_address(self.extra_args[0])
            print(f"{words!r} is not an option: write --gateway-url={words}.", file=sys.stderr)
            self.exit(USAGE_ERROR)
        self.report = SilentReport() if self.as_json else Report()
        interrupt_on_signals()
        results: list[dict[str, Any]] = []
        try:
            failed = self._examine_all(results)
            code, interrupted = int(failed), False
        except KeyboardInterrupt:
            code, interrupted = INTERRUPTED, True
        if self.as_json:
            document = {"version": __version__, "passed": code == 0, "interrupted": interrupted}
            print(json.dumps({**document, "gateways": results}, indent=2))
        elif interrupted:
            self.report.say("Interrupted.")
        self.exit(code)

    def _examine_all(self, results: list[dict[str, Any]]) -> bool:
        """Examine each gateway; return whether anything failed."""
        try:
            gateways = self.gateways()
        except TraitError as error:
            finding = Finding(
                "configuration", "fail", without_secrets(str(error)), "Correct it and try again."
            )
            self.report.finding(finding)
            results.append({"name": "gateway", "findings": [asdict(finding)]})
            return True
        for gateway in gateways:
            results.append(
                {
                    "name": gateway.name,
                    "url": without_secrets(gateway.url),
                    "mode": gateway.mode,
                    "findings": [],
                }
            )
            self.report.heading(gateway)
            self._examine(gateway, results[-1]["findings"])
        return any(f["verdict"] == "fail" for result in results for f in result["findings"])

    def _examine(self, gateway: Gateway, rows: list[dict[str, Any]]) -> None:
        started, findings = time.monotonic(), []

        def note(finding: Finding) -> None:
            self.report.finding(finding)
            findings.append(finding)
            rows.append(asdict(finding))

        with _closing(self._findings(gateway, note)) as iterator:
            for finding in iterator:
                note(finding)
        self.report.total(findings, time.monotonic() - started)

    def _findings(
        self, gateway: Gateway, on_interrupted: Callable[[Finding], None]
    ) -> Iterator[Finding]:
        return examine(
            gateway,
            kernel_name=self.kernel_name,
            origin=self.origin,
            on_check=self.report.running,
            on_interrupted=on_interrupted,
        )


@contextlib.contextmanager
def _closing(findings: Iterator[Finding]) -> Iterator[Iterator[Finding]]:
    """Close a generator at the end, so that its kernel is shut down before this returns."""
    try:
        yield findings
    finally:
        close = getattr(findings, "close", None)
        if close is not None:
            close()
