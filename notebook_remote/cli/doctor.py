"""The command ``jupyter notebook-remote doctor``: prints what ``doctor.examine`` finds."""

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
from ..redaction import without_secrets
from .interrupts import INTERRUPTED, break_off_on_signals

COLOURS = {"pass": "32", "warn": "33", "fail": "31", "skip": "2"}
NAME_WIDTH = 14
EXAMPLES = """\
jupyter notebook-remote doctor                                  # what is configured
jupyter notebook-remote doctor --gateway-url=https://gpu:8888   # this gateway
jupyter notebook-remote doctor --json > report.json
"""


class Report:
    """Prints findings as lines; on a terminal with colours, and with what is being tried."""

    def __init__(self) -> None:
        self._left: list[Finding] = []
        self.terminal = sys.stdout.isatty()
        self.colours = self.terminal and "NO_COLOR" not in os.environ
        self.width = max(60, min(shutil.get_terminal_size().columns, 100))

    def heading(self, gateway: Gateway) -> None:
        """Say which gateway comes."""
        where = f" at {without_secrets(gateway.url)}" if gateway.given_name else ""
        label = f"{gateway.label}{where}"
        print(f"{label[:1].upper()}{label[1:]}, mode {gateway.mode!r}:", flush=True)

    def trying(self, name: str) -> None:
        """Say what is being tried, until its finding takes the line."""
        if self.terminal:
            print(f"  ....  {name}", end="", flush=True)

    def finding(self, finding: Finding) -> None:
        """Print a finding, and below it the next step; one line for all that one failure left."""
        if finding.verdict == "skip" and finding.text.startswith(SINCE.partition("{")[0]):
            self._left.append(finding)
            return
        self._print_left()
        self._print(finding)

    def _print_left(self) -> None:
        left, self._left = self._left, []
        for text in dict.fromkeys(finding.text for finding in left):
            names = ", ".join(finding.name for finding in left if finding.text == text)
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
        # Whole words: somebody copies options and addresses from here.
        width = self.width - indent
        return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)

    def total(self, findings: list[Finding], seconds: float) -> None:
        """Print how many there were of each."""
        self._print_left()
        count = Counter(finding.verdict for finding in findings)
        outcome = "It does not work" if count["fail"] else "It works"
        print(
            f"{self._erase()}{outcome}: {count['pass']} passed, {count['warn']} with a warning,"
            f" {count['fail']} failed, {count['skip']} not tried, in {seconds:.0f} s.",
            flush=True,
        )

    def say(self, text: str) -> None:
        """Print a line in between."""
        print(f"{self._erase()}{text}", flush=True)

    def _erase(self) -> str:
        return "\r\x1b[K" if self.terminal else ""


class Silence(Report):
    """Prints nothing, for --json."""

    def __init__(self) -> None:
        """Look at no terminal."""

    def heading(self, gateway: Gateway) -> None:
        """Print nothing."""

    def trying(self, name: str) -> None:
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
        """The configured gateways. Raises TraitError for what cannot be used."""
        return Gateways(parent=self).all()

    def start(self) -> None:
        """Examine all gateways, print, and leave with the exit code."""
        super().start()
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a gateway's words may be in any script
        self.report = Silence() if self.as_json else Report()
        break_off_on_signals()
        results: list[dict[str, Any]] = []
        try:
            failed = self._examine_all(results)
            code, stopped = int(failed), False
        except KeyboardInterrupt:
            code, stopped = INTERRUPTED, True
        if self.as_json:
            document = {"version": __version__, "passed": code == 0, "interrupted": stopped}
            print(json.dumps({**document, "gateways": results}, indent=2))
        elif stopped:
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

        with _closing(self._findings(gateway, note)) as coming:
            for finding in coming:
                note(finding)
        self.report.total(findings, time.monotonic() - started)

    def _findings(
        self, gateway: Gateway, on_broken_off: Callable[[Finding], None]
    ) -> Iterator[Finding]:
        return examine(
            gateway,
            kernel_name=self.kernel_name,
            origin=self.origin,
            on_check=self.report.trying,
            on_broken_off=on_broken_off,
        )


@contextlib.contextmanager
def _closing(coming: Iterator[Finding]) -> Iterator[Iterator[Finding]]:
    """Close a generator at the end, so that it shuts its kernel down before we go on."""
    try:
        yield coming
    finally:
        close = getattr(coming, "close", None)
        if close is not None:
            close()
