"""One notebook, run from its first cell to its last, and saved as it goes."""

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

THIS_COMPUTER = ("local", "embedded")  # the names of its kernels in a page, after the @


class KernelEnded(Exception):
    """A cell has ended its kernel, and there are cells after it."""


class Run(NotebookClient):
    """A run of one notebook; made by ``RunApp``, which is its ``parent``."""

    def __init__(self, source: Path, target: Path, gateways: list[Gateway], **kwargs: Any) -> None:
        """``target`` is written to. Without ``gateways`` the kernel is one of this computer.

        Raises OSError if it could not be, and ValueError if ``source`` is no notebook.
        """
        notebook = read_notebook(source)
        folder = {"metadata": {"path": str(source.resolve().parent)}}
        super().__init__(notebook, resources=folder, on_cell_executed=self._executed, **kwargs)
        self.file = NotebookFile(target)
        self.cells = [cell for cell in notebook.cells if self._runs(cell)]
        self.number = 0  # of the cell that runs, as the notebook shows it in brackets
        self._gateways = gateways
        self._manager: Any = None
        self._ended = False  # whether a cell has ended the kernel
        self._changed = False  # whether there is output that was not saved
        self._doubted = 0  # the number of the last cell that had a message we could not use
        self._tell: Callable[[str], object] = lambda text: None

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
        # nbclient forgets its own once it has tidied up.
        self.km = self._manager = GatewayKernelManager(
            gateways=self._gateways, kernel_name=name, config=self.config
        )
        return self.km

    def run(
        self,
        on_start: Callable[[str], object],
        on_cell: Callable[[], object],
        tell: Callable[[str], object],
    ) -> None:
        """Run all cells. ``on_start`` gets where the kernel runs; ``on_cell`` is called after each.

        ``tell`` gets a sentence about what does not end the run. Raises CellExecutionError,
        GatewayError, DeadKernelError, KernelEnded; what ran until then is saved.
        """
        self._tell = tell
        with self.setup_kernel():
            on_start(self._where())
            self._note_kernelspec()
            for cell in self.nb.cells:
                if cell.cell_type == "code":  # as after "Restart Kernel and Run All Cells"
                    cell.outputs, cell.execution_count = [], None
            try:
                self._run_cells(on_cell)
                if not self._ended:
                    self._note_language()
                self.set_widgets_metadata()
            finally:
                self.save()

    def _run_cells(self, on_cell: Callable[[], object]) -> None:
        for index, cell in enumerate(self.nb.cells):
            if self._runs(cell):
                if self._ended:
                    raise KernelEnded
                self.number += 1
                self._run_cell(cell, index)
                if self.file.may_save():
                    self._changed = False
                    self.file.save(self.nb, self.file.number())
                on_cell()

    async def _run_and_save(self, cell: NotebookNode, index: int) -> None:
        """Run one cell, and save its output meanwhile if it takes long."""
        ended = asyncio.Event()
        saving = asyncio.create_task(self._save_until(ended), name="save the notebook")
        try:
            await self.async_execute_cell(cell, index, execution_count=self.number)
        finally:
            ended.set()
            await saving

    _run_cell = run_sync(_run_and_save)

    async def _save_until(self, ended: asyncio.Event) -> None:
        end = asyncio.create_task(ended.wait(), name="wait for the cell's end")
        while not (await asyncio.wait({end}, timeout=max(self.file.due_in(), 1.0)))[0]:
            if self._changed:
                await self._save_meanwhile()

    async def _save_meanwhile(self) -> None:
        """Save the notebook in a thread, since the kernel's output does not wait."""
        self._changed = False
        state, number = copy.deepcopy(self.nb), self.file.number()
        try:
            await asyncio.to_thread(self.file.save, state, number)
        except OSError as error:
            self._changed = True
            self._tell(f"it could not be saved for now: {error}")

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Take a message of the kernel; called by nbclient. An odd one costs nothing but itself."""
        self._changed = True
        try:
            normalize(msg)
            output: NotebookNode | None = super().process_message(msg, cell, cell_index)
        except CellControlSignal:  # that the cell has ended, among others
            raise
        except Exception as error:  # noqa: BLE001 - kernels and widgets are other people's
            if self._doubted != self.number:
                self._doubted = self.number
                self._tell(
                    f"a message of cell {self.number} cannot be used and is left out"
                    f" ({type(error).__name__}: {error})"
                )
            return None
        return output

    def _executed(self, *, execute_reply: dict[str, Any], **_: Any) -> None:
        self._ended = ends_kernel(execute_reply)

    def _note_kernelspec(self) -> None:
        """Have the notebook name the kernel that runs, as its gateway calls it."""
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
        self.nb.metadata.pop("language_info", None)  # the kernel's own comes at the end

    def _note_language(self) -> None:
        reply = self.wait_for_reply(self.kc.kernel_info())
        if reply is not None and isinstance(reply["content"].get("language_info"), dict):
            self.nb.metadata["language_info"] = reply["content"]["language_info"]

    def _where(self) -> str:
        if isinstance(self.km, GatewayManagerMixin):
            return str(self.km.kernel.gateway.config.label)
        return "this computer"

    def end(self) -> bool:
        """Leave no kernel after an interruption, not even one that is starting.

        Returns whether there is none.
        """
        if not isinstance(self._manager, GatewayManagerMixin):
            return True
        self._manager.end()
        return not self._manager.orphaned_kernels

    def save(self) -> None:
        """Save the notebook as it is now, signed. Raises OSError."""
        self._changed = False
        self.file.save(self.nb, self.file.number())
        try:
            sign(self.nb, self.config)
        except Exception as error:  # noqa: BLE001 - a page shows it as not trusted, no more
            self.log.debug("The notebook is not signed: %s", error)
