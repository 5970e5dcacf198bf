"""Findings of the doctor, and the texts of errors in them."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import requests

T = TypeVar("T")
Verdict = Literal["pass", "warn", "fail", "skip"]
Result = tuple[Verdict, str, str]  # verdict, text, next step
SAFE_SERVER = (2, 20)  # the first jupyter_server without known vulnerabilities
SINCE = "Not tried, since {!r} failed."
UPDATE_SERVER = "pip install -U 'jupyter_server>=2.20'"
MAX_ERROR_TEXT = 300  # characters of a gateway's own error message that are shown


@dataclass(frozen=True)
class Finding:
    """The outcome of one check, and what to do about it; ``next_step`` may be empty."""

    name: str
    verdict: Verdict
    text: str
    next_step: str = ""


class CheckFailed(Exception):
    """A check failed: one sentence that says why, and one that says what to do."""

    def __init__(self, text: str, next_step: str) -> None:
        super().__init__(text)
        self.text, self.next_step = text, next_step


def within(seconds: float, work: Callable[[], T]) -> T:
    """Run a function in a thread and return its result, or raise TimeoutError.

    This limits also work without a time limit (resolving a name), or with one for each byte.
    """
    outcome: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((True, work()))
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            outcome.put((False, error))

    threading.Thread(target=run, name="doctor", daemon=True).start()
    deadline = time.monotonic() + seconds
    while True:
        remaining = deadline - time.monotonic()
        try:
            # In short waits: on Windows Ctrl-C does not interrupt one.
            succeeded, value = outcome.get(timeout=max(0.0, min(remaining, 0.5)))
        except queue.Empty:
            if remaining <= 0:
                raise TimeoutError(f"no answer within {seconds:.0f} s") from None
            continue
        if succeeded:
            return value  # type: ignore[no-any-return]
        raise value


def passed(text: str, next_step: str = "") -> Result:
    """A check that passed."""
    return "pass", text, next_step


def warned(text: str, next_step: str) -> Result:
    """A check that found something that works, but not as well as it could."""
    return "warn", text, next_step


def skipped(text: str, next_step: str = "") -> Result:
    """A check that does not apply, with the reason."""
    return "skip", text, next_step


def is_vulnerable(version: str) -> bool:
    """Whether a version of jupyter_server has known vulnerabilities; False if it is unreadable."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) < SAFE_SERVER


def about_server_here(version: str) -> Result:
    """The finding about the version of jupyter_server in this environment."""
    if is_vulnerable(version):
        return warned(
            f"Version {version} here, which has known vulnerabilities.",
            f"{UPDATE_SERVER}, in the environment of this command.",
        )
    return passed(f"Version {version} here.")


def error_message(response: requests.Response) -> str:
    """The error message in a gateway's response; may be empty."""
    try:
        model = response.json()
    except ValueError:
        model = None
    if not isinstance(model, dict):
        title = re.search(r"<title>(.*?)</title>", response.text[:5000], re.DOTALL | re.IGNORECASE)
        return (title[1] if title else response.text)[:MAX_ERROR_TEXT].strip()
    texts = [str(model[key]) for key in ("message", "reason", "detail") if model.get(key)]
    return ": ".join(dict.fromkeys(texts))[:MAX_ERROR_TEXT]


def in_short(error: BaseException) -> str:
    """The innermost message of a library's error, without the names of its classes."""
    inner: Any = error
    for _ in range(5):
        reason = getattr(inner, "reason", None)
        below = (
            reason
            if isinstance(reason, BaseException)
            else next((a for a in getattr(inner, "args", ()) if isinstance(a, BaseException)), None)
        )
        if below is None:
            break
        inner = below
    text = re.sub(r"<[^>]*object at 0x[^>]*>:? ?", "", str(inner))
    return text[:MAX_ERROR_TEXT] or type(inner).__name__
