"""Runs a notebook from its first cell to its last, and saves it meanwhile."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal
from nbformat import NotebookNode

from ..client.messages import ends_kernel, normalize
from ..config.gateway import Gateway
from ..kernelspec_names import split
from .manager import GatewayKernelManager, GatewayManagerMixin
from .notebook_file import NotebookFile, read_notebook, sign
from .selection import kernelspec_metadata

THIS_COMPUTER = ("local", "embedded")  # backend names after the @ that mean this computer


class KernelEnded(Exception):
    """A cell has ended its kernel, and cells after it remain."""


class Run(NotebookClient):
    """A run of one notebook; made by ``RunApp``, which is its ``parent``."""

    def __init__(self, source: Path, target: Path, gateways: list[Gateway], **kwargs: Any) -> None:
        """``target`` is the file to save to. Without ``gateways`` the kernel runs on this computer.

        Raises OSError if ``target`` is not writable, and ValueError if ``source`` is no notebook.
        """
        notebook = read_notebook(source)
        folder = {"metadata": {"path": str(source.resolve().parent)}}
        super().__init__(notebook, resources=folder, on_cell_executed=self._on_executed, **kwargs)
        self.file = NotebookFile(target)
        self.cells = [cell for cell in notebook.cells if self._runs(cell)]
        self.cell_number = 0  # of the running cell, as the notebook shows it in brackets
        self._gateways = gateways
        self._manager: Any = None
        self._kernel_ended = False  # whether a cell has ended the kernel
        self._unsaved = False  # whether there is unsaved output
        self._last_bad_cell = 0  # the number of the last cell with an unusable message
        self._report: Callable[[str], object] = lambda text: None

    def _runs(self, cell: NotebookNode) -> bool:
        tags = cell.metadata.get("tags", [])
        code = cell.cell_type == "code" and cell.source.strip()
        return bool(code and self.skip_cells_with_tag not in tags)

    def create_kernel_manager(self) -> Any:
        """Make the kernel's manager; called by nbclient. Raises NoSuchKernel."""
        spec = self.nb.metadata.get("kernelspec", {})
        name = str(self.kernel_name or spec.get("name") or "")
        own, where = split(name)
        here = where in THIS_COMPUTER
        self.kernel_name: str = own if here else name
        if here or not self._gateways:
            KernelSpecManager(parent=self).get_kernel_spec(self.kernel_name or NATIVE_KERNEL_NAME)
            return super().create_kernel_manager()
        # A second reference, since nbclient deletes its own when it cleans up.
        self.km = self._manager = GatewayKernelManager(
            gateways=self._gateways, kernel_name=name, config=self.config
        )
        return self.km

    def run(
        self,
        on_start: Callable[[str], object],
        on_cell: Callable[[], object],
        report: Callable[[str], object],
    ) -> None:
        """Run all cells. In any case the notebook is saved as far as it ran.

        ``on_start`` is called with where the kernel runs, ``on_cell`` after each cell, and
        ``report`` with a sentence about a problem that does not end the run. Raises
        CellExecutionError, GatewayError, DeadKernelError, KernelEnded.
        """
        self._report = report
        with self.setup_kernel():
            on_start(self._where())
            self._set_kernelspec()
            for cell in self.nb.cells:
                if cell.cell_type == "code":  # as after "Restart Kernel and Run All Cells"
                    cell.outputs, cell.execution_count = [], None
            try:
                self._run_cells(on_cell)
                if not self._kernel_ended:
                    self._set_language_info()
                self.set_widgets_metadata()
            finally:
                self.save()

    def _run_cells(self, on_cell: Callable[[], object]) -> None:
        for index, cell in enumerate(self.nb.cells):
            if self._runs(cell):
                if self._kernel_ended:
                    raise KernelEnded
                self.cell_number += 1
                self._run_cell(cell, index)
                if self.file.may_save():
                    self._unsaved = False
                    self.file.save(self.nb, self.file.next_version())
                on_cell()

    async def _run_and_save(self, cell: NotebookNode, index: int) -> None:
        """Run one cell, and save its output meanwhile if it takes long."""
        ended = asyncio.Event()
        saving = asyncio.create_task(self._save_until(ended), name="save the notebook")
        try:
            await self.async_execute_cell(cell, index, execution_count=self.cell_number)
        finally:
            ended.set()
            await saving

    _run_cell = run_sync(_run_and_save)

    async def _save_until(self, ended: asyncio.Event) -> None:
        end = asyncio.create_task(ended.wait(), name="wait for the cell's end")
        while not (await asyncio.wait({end}, timeout=max(self.file.due_in(), 1.0)))[0]:
            if self._unsaved:
                await self._save_in_thread()

    async def _save_in_thread(self) -> None:
        """Save the notebook in a thread, so that this loop goes on reading the kernel's output."""
        self._unsaved = False
        state, version = copy.deepcopy(self.nb), self.file.next_version()
        try:
            await asyncio.to_thread(self.file.save, state, version)
        except OSError as error:
            self._unsaved = True
            self._report(f"it could not be saved for now: {error}")

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Handle a message of the kernel, or drop it if that fails; called by nbclient."""
        self._unsaved = True
        try:
            normalize(msg)
            output: NotebookNode | None = super().process_message(msg, cell, cell_index)
        except CellControlSignal:  # such as the end of the cell
            raise
        except Exception as error:  # noqa: BLE001 - messages of any kernel or widget
            if self._last_bad_cell != self.cell_number:
                self._last_bad_cell = self.cell_number
                self._report(
                    f"a message of cell {self.cell_number} cannot be used and is left out"
                    f" ({type(error).__name__}: {error})"
                )
            return None
        return output

    def _on_executed(self, *, execute_reply: dict[str, Any], **_: Any) -> None:
        # The reply that nbclient makes up for a timeout has no type.
        self._kernel_ended = "msg_type" in execute_reply and ends_kernel(execute_reply)

    def _set_kernelspec(self) -> None:
        """Set the notebook's kernelspec to that of the running kernel, by its gateway's name."""
        kernel = self.km.kernel if isinstance(self.km, GatewayManagerMixin) else None
        name = kernel.name if kernel is not None else self.kernel_name or NATIVE_KERNEL_NAME
        if name == self.nb.metadata.get("kernelspec", {}).get("name"):
            return
        if kernel is not None:
            spec = self.km.background.submit(kernel.kernelspec()).result()
        else:
            found = KernelSpecManager(parent=self).get_kernel_spec(name)
            spec = kernelspec_metadata(name, {"spec": found.to_dict()})
        self.nb.metadata["kernelspec"] = spec
        self.nb.metadata.pop("language_info", None)  # that of the new kernel is set at the end

    def _set_language_info(self) -> None:
        reply = self.wait_for_reply(self.kc.kernel_info())
        if reply is not None and isinstance(reply["content"].get("language_info"), dict):
            self.nb.metadata["language_info"] = reply["content"]["language_info"]

    def _where(self) -> str:
        if isinstance(self.km, GatewayManagerMixin):
            return str(self.km.kernel.gateway.config.label)
        return "this computer"

    def end(self) -> bool:
        """Shut the kernel down after an interruption, also one that is being started.

        Returns whether it is gone.
        """
        if not isinstance(self._manager, GatewayManagerMixin):
            return True
        self._manager.end()
        return not self._manager.has_orphaned_kernel

    def save(self) -> None:
        """Save and sign the notebook as it is now. Raises OSError."""
        self._unsaved = False
        self.file.save(self.nb, self.file.next_version())
        try:
            sign(self.nb, self.config)
        except Exception as error:  # noqa: BLE001 - unsigned, it is only shown as not trusted
            self.log.debug("The notebook is not signed: %s", error)
