"""The machine and the versions that were measured."""

from __future__ import annotations

import os
import platform
import re
import ssl
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from .servers import NGINX

DISTRIBUTIONS = (
    "notebook-remote",
    "notebook",
    "jupyter_server",
    "jupyter_kernel_gateway",
    "ipykernel",
    "tornado",
    "pyzmq",
)


def describe() -> dict[str, Any]:
    """Return the machine and the versions of the software that takes part."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "commit": _output("git", "describe", "--always", "--dirty"),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_before": round(psutil.getloadavg()[0], 2),
        "os": platform.platform(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "nginx": _output(NGINX, "-v").removeprefix("nginx version: ") if NGINX else None,
        **{name: metadata.version(name) for name in DISTRIBUTIONS},
    }


def _cpu_model() -> str:
    try:
        match = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()


def _output(*command: str) -> str:
    """Return a command's output, from stdout or stderr; empty if it fails."""
    try:
        result = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except OSError:
        return ""
    return (result.stdout or result.stderr).strip() if result.returncode == 0 else ""
