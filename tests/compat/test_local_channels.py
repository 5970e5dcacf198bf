"""Kernels on this computer: small messages do not wait, and large ones pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..support.recipes import REPORT_NODELAY
from ..support.servers import Farm, wait_for
from ..support.shared_servers import SharedServers


@pytest.mark.parametrize("kind", ["local", "embedded"])
def test_large_messages_reach_a_kernel_where_both_ends_are_ours(
    shared: SharedServers, kind: str
) -> None:
    """A stock server refuses more than 10 MiB (facts 2)."""
    notebook = shared.notebook(kind)
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        assert channels.run(f"len('{'x' * 20_000_000}')") == "20000000"


def test_nothing_waits_for_small_packets(farm: Farm) -> None:
    """The speed of it is measured in benchmarks/; here, that the option is set where it matters."""
    notebook = farm.notebook("--mode=local")
    folder = Path(notebook.env["JUPYTER_CONFIG_DIR"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jupyter_notebook_remote_config.py").write_text(REPORT_NODELAY)
    notebook.start()
    with notebook.kernel() as kernel_id, notebook.channels(kernel_id) as channels:
        channels.run("1")
    assert "TCP_NODELAY of the channels: 1" in notebook.log


def test_pages_that_leave_in_the_handshake_are_not_miscounted(shared: SharedServers) -> None:
    """A stock server counts less than none then, and keeps no output for those that come back."""
    notebook = shared.notebook("local")
    with notebook.kernel() as kernel_id:
        for _ in range(20):
            notebook.hang_up_in_handshake(kernel_id)
        with notebook.channels(kernel_id) as channels:
            assert channels.run("1") == "1"
            wait_for("one", lambda: notebook.connections(kernel_id) == 1)
        wait_for("none", lambda: notebook.connections(kernel_id) == 0)
    assert "Uncaught exception" not in notebook.log
