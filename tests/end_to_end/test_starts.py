"""Many kernels at once: as many as were asked for, a few at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..support.recipes import light_kernel, new_session
from ..support.servers import Farm

MANY = 100
AT_ONCE = 4


def test_a_hundred_notebooks_at_once_have_a_hundred_kernels(farm: Farm, tmp_path: Path) -> None:
    """No more, and no more than the limit are being started on the gateway at any time."""
    env = light_kernel(tmp_path)
    quick = "--KernelManager.shutdown_wait_time=0.1"
    listed = "--JupyterWebsocketPersonality.list_kernels=True"
    gateway = farm.gateway("kernel-gateway", quick, listed, env=env).start()
    notebook = farm.notebook(f"--Gateway.max_concurrent_starts={AT_ONCE}", gateway=gateway).start()
    seen = []
    with ThreadPoolExecutor(MANY) as pool:
        made = [pool.submit(new_session, notebook, f"{n}.ipynb", "light") for n in range(MANY)]
        while not all(future.done() for future in made):
            starts = notebook.get("/notebook-remote/api/kernels").json()["starts"]
            seen.append([start["state"] for start in starts])
    assert max(states.count("starting") for states in seen) <= AT_ONCE
    assert any("waiting" in states for states in seen)
    kernels = {future.result()["kernel"]["id"] for future in made}
    assert len(kernels) == MANY
    assert {kernel["id"] for kernel in gateway.get("/api/kernels").json()} == kernels
