"""CPU time and memory of all processes of a server."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path

import psutil

from tests.support.servers import Server

SAMPLE_INTERVAL = 0.01  # seconds, on systems that do not record the peak
MB = 1e6


class Meter:
    """Measures the processes that a server has when the meter is created.

    Servers start short-lived processes at their own start. Of a process that ends, the CPU time up
    to its last reading counts, and its memory does not.
    """

    def __init__(self, server: Server) -> None:
        root = psutil.Process(server.pid)
        processes: list[psutil.Process] = [root, *root.children(recursive=True)]
        self._cpu_times: dict[psutil.Process, float] = dict.fromkeys(processes, 0.0)
        self._initial_memory = {process: _resident(process) for process in processes}
        self._peak_memory = dict(self._initial_memory)
        self._stopped = threading.Event()
        self.cpu()
        if sys.platform == "linux":
            for process in processes:
                with contextlib.suppress(OSError):  # the process has ended
                    Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # reset the peak
        else:
            threading.Thread(target=self._sample, daemon=True).start()

    def cpu(self) -> float:
        """Return the seconds of CPU time so far."""
        for process in self._cpu_times:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                self._cpu_times[process] = float(times.user + times.system)
        return sum(self._cpu_times.values())

    def resident(self) -> float:
        """Return the bytes of resident memory now."""
        return sum(map(_resident, self._initial_memory))

    def growth(self) -> float:
        """Return the megabytes from the memory at creation to its peak since then."""
        if sys.platform == "linux":
            self._peak_memory = {
                process: _high_water_mark(process) for process in self._initial_memory
            }
        else:
            self._stopped.set()
        alive = [process for process in self._initial_memory if _resident(process)]
        growth: float = sum(self._peak_memory[p] - self._initial_memory[p] for p in alive)
        return max(0.0, growth) / MB

    def _sample(self) -> None:
        while not self._stopped.wait(SAMPLE_INTERVAL):
            for process, peak in self._peak_memory.items():
                self._peak_memory[process] = max(peak, _resident(process))


def _resident(process: psutil.Process) -> float:
    """Return the bytes of resident memory; 0 for a process that has ended."""
    try:
        return float(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0.0


def _high_water_mark(process: psutil.Process) -> float:
    """Return the bytes of resident memory at the peak; 0 for a process that has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0.0
    _, found, rest = status.partition("VmHWM:")
    return 1024.0 * int(rest.split()[0]) if found else 0.0  # a zombie process has none
