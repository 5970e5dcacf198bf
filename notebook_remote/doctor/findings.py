"""What the doctor says: findings, and the words for what went wrong."""

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
Result = tuple[Verdict, str, str]  # and text, and next step
SAFE_SERVER = (2, 20)  # the first jupyter_server without known vulnerabilities
SINCE = "Not tried, since {!r} failed."
UPDATE_SERVER = "pip install -U 'jupyter_server>=2.20'"
WORDS = 300  # letters of a gateway's own words that are shown


@dataclass(frozen=True)
class Finding:
    """What came out of one check, and what to do about it; ``next_step`` may be empty."""

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
    """Do the work in a thread and return its result, or raise TimeoutError.

    Whatever has no limit of its own (resolving a name) or only one for each byte has one this way.
    """
    outcome: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcome.put((True, work()))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            outcome.put((False, error))

    threading.Thread(target=run, name="doctor", daemon=True).start()
    deadline = time.monotonic() + seconds
    while True:
        left = deadline - time.monotonic()
        try:
            # In slices: on Windows no Ctrl-C ends a wait.
            good, value = outcome.get(timeout=max(0.0, min(left, 0.5)))
        except queue.Empty:
            if left <= 0:
                raise TimeoutError(f"no answer within {seconds:.0f} s") from None
            continue
        if good:
            return value  # type: ignore[no-any-return]
        raise value


def good(text: str, next_step: str = "") -> Result:
    """A check that passed."""
    return "pass", text, next_step


def warning(text: str, next_step: str) -> Result:
    """A check that found what works, and not as well as it could."""
    return "warn", text, next_step


def not_tried(text: str, next_step: str = "") -> Result:
    """A check that does not apply, with the reason."""
    return "skip", text, next_step


def is_vulnerable(version: str) -> bool:
    """Whether a version of jupyter_server has vulnerabilities that are known; not if unknown."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and tuple(map(int, found.groups())) < SAFE_SERVER


def about_server_here(version: str) -> Result:
    """The finding about the version of jupyter_server in this environment."""
    if is_vulnerable(version):
        return warning(
            f"Version {version} here, which has known vulnerabilities.",
            f"{UPDATE_SERVER}, in the environment of this command.",
        )
    return good(f"Version {version} here.")


def words_of(response: requests.Response) -> str:
    """A gateway's own words about what went wrong; empty if they say nothing."""
    try:
        model = response.json()
    except ValueError:
        model = None
    if not isinstance(model, dict):
        title = re.search(r"<title>(.*?)</title>", response.text[:5000], re.DOTALL | re.IGNORECASE)
        return (title[1] if title else response.text)[:WORDS].strip()
    said = [str(model[key]) for key in ("message", "reason", "detail") if model.get(key)]
    return ": ".join(dict.fromkeys(said))[:WORDS]


def in_short(error: BaseException) -> str:
    """The words of an error of a lower library, without the names of its classes around it."""
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
    return text[:WORDS] or type(inner).__name__
