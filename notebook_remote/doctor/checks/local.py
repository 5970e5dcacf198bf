"""The doctor's examination of this computer, for embedded gateways and local kernels."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec

from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import KernelManager

from ...config.gateway import Gateway
from ..findings import Finding, about_server_here, in_short, within

START_TIMEOUT = 30.0  # seconds for a kernel on this computer


def examine_here(gateway: Gateway, on_check: Callable[[str], None]) -> Iterator[Finding]:
    """Examine this computer and yield a finding for each check; see ``examination.examine``."""
    local = gateway.mode == "local"
    yield Finding(
        "configuration",
        "pass",
        "Mode 'local': kernels run on this computer, and no gateway is used."
        if local
        else "No gateway is given: kernels run on this computer, on a gateway of their own.",
        "" if local else "--gateway-url=URL runs them on another one.",
    )
    for package, purpose in (("jupyter_server", "serve"), ("ipykernel", "run Python")):
        on_check(package)
        yield _importable(package, purpose)
    if not local:
        yield _add_on(gateway)
    on_check("kernel start")
    yield _kernel()


def _importable(package: str, purpose: str) -> Finding:
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        return Finding(
            package,
            "fail",
            f"It cannot be imported ({error}), and nothing can {purpose} without it.",
            f"pip install {package}",
        )
    version = str(getattr(module, "__version__", "unknown"))
    if package == "jupyter_server":
        return Finding(package, *about_server_here(version))
    return Finding(package, "pass", f"Version {version}.")


def _add_on(gateway: Gateway) -> Finding:
    name = "add-on"
    if find_spec("notebook_remote_gateway"):
        return Finding(name, "pass", "notebook-remote-gateway is here, for direct mode.")
    if gateway.mode == "direct":
        return Finding(
            name,
            "warn",
            "Mode 'direct' needs notebook-remote-gateway; pages go through the notebook server.",
            "pip install ./gateway, in a checkout of notebook-remote.",
        )
    return Finding(name, "skip", f"Not here; mode {gateway.mode!r} does not need it.")


def _kernel() -> Finding:
    """Start a kernel on this computer, run code in it, and shut it down."""
    name = "kernel start"
    manager = KernelManager()
    try:
        within(START_TIMEOUT, lambda: _compute(manager))
    except NoSuchKernel:
        return Finding(
            name,
            "fail",
            f"There is no kernelspec {manager.kernel_name!r}.",
            "pip install ipykernel, in the environment of this command.",
        )
    except Exception as error:  # noqa: BLE001 - any reason for which a kernel does not start
        return Finding(
            name,
            "fail",
            f"{manager.kernel_name!r} does not run here: {in_short(error)}.",
            "Try it by itself: jupyter console.",
        )
    finally:
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
    return Finding(name, "pass", f"{manager.kernel_name!r} runs on this computer.")


def _compute(manager: KernelManager) -> None:
    manager.start_kernel(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=START_TIMEOUT)
        reply = client.execute("1 + 1", reply=True, timeout=START_TIMEOUT)
        if reply["content"]["status"] != "ok":
            raise RuntimeError("it answers, and cannot compute 1 + 1")
    finally:
        client.stop_channels()
