"""What a server costs: CPU time and memory of all its processes."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import psutil

from tests.processes import Server

SAMPLED_EVERY = 0.01  # seconds, where the system does not keep the peak itself
MB = 1e6


class Meter:
    """Reads a server's processes, which are those that it has when this is made."""

    def __init__(self, server: Server) -> None:
        root = psutil.Process(server.pid)
        self._processes = [root, *root.children(recursive=True)]
        self._resting = self.resident()
        self._sampled = self._resting
        self._done = threading.Event()
        if sys.platform == "linux":
            for process in self._processes:
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # forget the peak
        else:
            threading.Thread(target=self._sample, daemon=True).start()

    def cpu(self) -> float:
        """Seconds of CPU time so far."""
        times = [process.cpu_times() for process in self._processes]
        return float(sum(t.user + t.system for t in times))

    def resident(self) -> float:
        """Bytes of memory now."""
        return float(sum(process.memory_info().rss for process in self._processes))

    def growth(self) -> float:
        """Megabytes by which the memory's peak since this was made is over what it was then."""
        if sys.platform == "linux":
            peak = float(sum(map(_high_water_mark, self._processes)))
        else:
            self._done.set()
            peak = self._sampled
        return max(0.0, peak - self._resting) / MB

    def _sample(self) -> None:
        while not self._done.wait(SAMPLED_EVERY):
            self._sampled = max(self._sampled, self.resident())


def _high_water_mark(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])
