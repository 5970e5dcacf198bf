"""What a server costs: CPU time and memory of all its processes."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path

import psutil

from tests.support.servers import Server

SAMPLED_EVERY = 0.01  # seconds, where the system does not keep the peak itself
MB = 1e6


class Meter:
    """Reads a server's processes, which are those that it has when this is made.

    One that ends meanwhile, as those do that a server starts when it starts, counts as if it had
    done nothing: what it cost until it was last looked at stays, what it held is forgotten.
    """

    def __init__(self, server: Server) -> None:
        root = psutil.Process(server.pid)
        processes: list[psutil.Process] = [root, *root.children(recursive=True)]
        self._spent: dict[psutil.Process, float] = dict.fromkeys(processes, 0.0)
        self._resting = {process: _resident(process) for process in processes}
        self._peaks = dict(self._resting)
        self._done = threading.Event()
        self.cpu()
        if sys.platform == "linux":
            for process in processes:
                with contextlib.suppress(OSError):  # it has ended
                    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # forget the peak
        else:
            threading.Thread(target=self._sample, daemon=True).start()

    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        for process in self._spent:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                self._spent[process] = float(times.user + times.system)
        return sum(self._spent.values())

    def resident(self) -> float:
        """Bytes of memory now."""
        return sum(map(_resident, self._resting))

    def growth(self) -> float:
        """Megabytes by which the memory's peak since this was made is over what it was then."""
        if sys.platform == "linux":
            self._peaks = {process: _high_water_mark(process) for process in self._resting}
        else:
            self._done.set()
        there = [process for process in self._resting if _resident(process)]
        grown: float = sum(self._peaks[p] - self._resting[p] for p in there)
        return max(0.0, grown) / MB

    def _sample(self) -> None:
        while not self._done.wait(SAMPLED_EVERY):
            for process, peak in self._peaks.items():
                self._peaks[process] = max(peak, _resident(process))


def _resident(process: psutil.Process) -> float:
    """Bytes of memory, none for a process that has ended."""
    try:
        return float(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0.0


def _high_water_mark(process: psutil.Process) -> float:
    """Bytes of memory at the peak, none for a process that has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0.0
    _, found, rest = status.partition("VmHWM:")
    return 1024.0 * int(rest.split()[0]) if found else 0.0  # one that is not waited for has none
