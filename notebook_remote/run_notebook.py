"""One notebook, run from its first cell to its last, and saved after each."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from .config import Gateway
from .headless import GatewayKernelManager, OnGateway

THIS_COMPUTER = ("local", "embedded")  # the names of its kernels in a page, after the @


class Run(NotebookClient):
    """A run of one notebook; made by ``RunApp``, which is its ``parent``."""

    def __init__(self, source: Path, target: Path, gateways: list[Gateway], **kwargs: Any) -> None:
        """``target`` is written to. Without ``gateways`` the kernel is one of this computer.

        Raises OSError if it could not be, and ValueError if ``source`` is no notebook.
        """
        notebook = nbformat.read(source, as_version=4)
        folder = {"metadata": {"path": str(source.resolve().parent)}}
        super().__init__(notebook, resources=folder, **kwargs)
        self.target = target
        self.cells = [cell for cell in notebook.cells if self._runs(cell)]
        self.number = 0  # of the cell that runs, as the notebook shows it in brackets
        self._gateways = gateways
        self._manager: Any = None
        with tempfile.TemporaryFile(dir=target.parent):
            pass  # it can be written to, which would be late to learn after the first cell

    def _runs(self, cell: NotebookNode) -> bool:
        tags = cell.metadata.get("tags", [])
        code = cell.cell_type == "code" and cell.source.strip()
        return bool(code and self.skip_cells_with_tag not in tags)

    def create_kernel_manager(self) -> Any:
        """Make the kernel's manager; called by nbclient. Raises NoSuchKernel."""
        spec = self.nb.metadata.get("kernelspec", {})
        name = str(self.kernel_name or spec.get("name") or "")
        own, _, where = name.rpartition("@")
        here = where in THIS_COMPUTER
        self.kernel_name: str = own if here else name
        if here or not self._gateways:
            KernelSpecManager(parent=self).get_kernel_spec(self.kernel_name or NATIVE_KERNEL_NAME)
            return super().create_kernel_manager()
        # nbclient forgets its own once it has tidied up.
        self.km = self._manager = GatewayKernelManager(
            gateways=self._gateways, kernel_name=name, config=self.config
        )
        return self.km

    def run(self, on_start: Callable[[str], object], on_cell: Callable[[], object]) -> None:
        """Run all cells. ``on_start`` gets where the kernel runs; ``on_cell`` is called after each.

        Raises CellExecutionError, GatewayError, DeadKernelError; what ran until then is saved.
        """
        with self.setup_kernel():
            on_start(self._where())
            for cell in self.nb.cells:
                if cell.cell_type == "code":  # as after "Restart Kernel and Run All Cells"
                    cell.outputs, cell.execution_count = [], None
            for index, cell in enumerate(self.nb.cells):
                if self._runs(cell):
                    self.number += 1
                    try:
                        self.execute_cell(cell, index, execution_count=self.number)
                    finally:
                        self.save()
                    on_cell()
            info = self.wait_for_reply(self.kc.kernel_info())
            self.nb.metadata["language_info"] = info["content"]["language_info"]
            self.set_widgets_metadata()
        self.save()

    def _where(self) -> str:
        if isinstance(self.km, OnGateway):
            return f"the gateway {self.km.kernel.gateway.config.name!r}"
        return "this computer"

    def end(self) -> bool:
        """Leave no kernel after an interruption, not even one that is starting.

        Returns whether there is none.
        """
        if not isinstance(self._manager, OnGateway):
            return True
        self._manager.end()
        return not self._manager.left_behind

    def save(self) -> None:
        """Write all of the notebook or nothing, whatever happens meanwhile. Raises OSError."""
        target = Path(os.path.realpath(self.target))  # a link stays one
        with contextlib.ExitStack() as undo:
            handle, new = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
            undo.callback(os.unlink, new)
            with open(handle, "w", encoding="utf-8") as file:
                nbformat.write(self.nb, file)
                file.flush()
                os.fsync(handle)
            os.chmod(new, _mode(target))
            os.replace(new, target)
            undo.pop_all()


def _mode(path: Path) -> int:
    """The permissions of a file, or those that a new one gets."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
