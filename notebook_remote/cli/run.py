"""The command ``jupyter notebook-remote run``: runs notebooks with kernels on the gateways."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellExecutionError
from tqdm import tqdm
from traitlets import Bool, Int, TraitError, Unicode, default

from .._version import __version__
from ..config.base_app import GatewayApp
from ..config.gateway import Gateway
from ..exceptions import GatewayError, KernelSpecNotFound
from ..headless.notebook_run import KernelEnded, Run
from ..headless.selection import configured_gateways
from .interrupts import INTERRUPTED, interrupt_on_signals

ANSI = re.compile(r"\x1b\[[0-9;]*m")
EXAMPLES = """\
jupyter notebook-remote run report.ipynb                               # on what is configured
jupyter notebook-remote run report.ipynb --gateway=gpu=https://gpu:8888
jupyter notebook-remote run report.ipynb --kernel=python3@gpu --output=done.ipynb
"""


class Progress:
    """Shows the progress of a notebook: a bar on a terminal, else a line for each cell."""

    def __init__(self, name: str, total: int) -> None:
        self._name, self._total = name, total
        self._done = 0
        self._cell_started = time.monotonic()
        self._bar: Any = None
        if sys.stderr.isatty():
            # Without a size tqdm shows nothing on some terminals: 80 x 24 is the default here.
            width, height = shutil.get_terminal_size()
            self._bar = tqdm(
                total=total, unit="cell", desc=name, leave=False, ncols=width, nrows=height
            )

    def report(self, text: str) -> None:
        """Print a line about the notebook."""
        line = f"{self._name}: {text}"
        if self._bar is not None:
            self._bar.write(line)
        else:
            print(line, flush=True)

    def started(self, where: str) -> None:
        """Report that the kernel was started."""
        self.report(f"its kernel runs on {where}")
        self._cell_started = time.monotonic()

    def cell(self) -> None:
        """Report that one more cell was run."""
        self._done += 1
        if self._bar is not None:
            self._bar.update()
            return
        now = time.monotonic()
        self.report(f"cell {self._done} of {self._total}, {now - self._cell_started:.1f} s")
        self._cell_started = now

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


class RunApp(GatewayApp):
    """Run notebooks without a page: all cells of each, which is saved as they run.

    It takes the options, environment variables and configuration files of `jupyter
    notebook-remote`. With a gateway the kernel runs there, else on this computer. The exit code is
    0 if all cells of all notebooks ran, else 1.
    """

    name = "jupyter-notebook-remote-run"
    description = __doc__
    version = __version__
    examples = EXAMPLES
    aliases: ClassVar[dict[str, Any]] = {
        **GatewayApp.aliases,
        "kernel": "RunApp.kernel_name",
        "output": "RunApp.output",
        "timeout": "RunApp.cell_timeout",
    }
    flags: ClassVar[dict[str, Any]] = {
        **GatewayApp.flags,
        "allow-errors": (
            {"RunApp": {"allow_errors": True}},
            "Go on after a cell that fails, and take it for done.",
        ),
    }

    kernel_name = Unicode(
        "",
        help="The kernel, such as python3, or python3@gpu where more than one gateway has it, or"
        " python3@local for one of this computer. Empty: the notebook's own.",
    ).tag(config=True)
    output = Unicode(
        "",
        help="The file to write, or a folder. Empty: the notebook itself, as the page saves it.",
    ).tag(config=True)
    cell_timeout = Int(
        0, min=0, help="Seconds after which a cell is interrupted, and has failed. 0: never."
    ).tag(config=True)
    allow_errors = Bool(False, help="Go on after a cell that fails.").tag(config=True)

    @default("log_level")
    def _default_log_level(self) -> int:
        return logging.WARNING

    def start(self) -> None:
        """Run all notebooks on the command line, and leave with the exit code."""
        super().start()
        if not self.extra_args:
            sys.exit(f"Which notebook?\n{EXAMPLES}")
        sources = [Path(word) for word in self.extra_args]
        if len(sources) > 1 and self.output and not Path(self.output).is_dir():
            sys.exit(
                f"For more than one notebook --output is a folder: mkdir {self.output} makes it."
            )
        self._refuse_shared_target(sources)
        interrupt_on_signals()
        try:
            gateways = configured_gateways(self.config)
            failed = [not self._run(source, gateways) for source in sources]
        except TraitError as error:
            sys.exit(str(error))
        self.exit(int(any(failed)))

    def _target(self, source: Path) -> Path:
        target = Path(self.output or source)
        return target / source.name if target.is_dir() else target

    def _refuse_shared_target(self, sources: list[Path]) -> None:
        seen: dict[str, Path] = {}
        for source in sources:
            target = self._target(source)
            other = seen.setdefault(os.path.normcase(target.resolve()), source)
            if other is not source:
                sys.exit(
                    f"{other} and {source} would both be saved in {target}: run them one by one,"
                    " each with an --output of its own."
                )

    def _run(self, source: Path, gateways: list[Gateway]) -> bool:
        """Run one notebook; return whether it succeeded. Raises TraitError."""
        target = self._target(source)
        try:
            run = Run(
                source,
                target,
                gateways,
                parent=self,
                log=self._nbclient_log(),
                kernel_name=self.kernel_name,
                allow_errors=self.allow_errors,
                timeout=self.cell_timeout or None,
                interrupt_on_timeout=True,
                error_on_timeout=self._timeout_reply(),
            )
        except (OSError, ValueError) as error:
            print(f"{source} cannot be run: {_reason(error)}", file=sys.stderr)
            return False
        progress = Progress(source.name, len(run.cells))
        try:
            problem = self._problem(run, progress)
        finally:
            progress.close()
        if problem:
            print(f"{source.name}: {problem}", file=sys.stderr)
        else:
            print(f"{source.name}: done, saved in {target}")
        return not problem

    def _problem(self, run: Run, progress: Progress) -> str:
        """Run a notebook; return its error as a sentence, or an empty string."""
        try:
            run.run(progress.started, progress.cell, progress.report)
        except CellExecutionError as error:
            again = "Correct it and run it again; --allow-errors goes on after a failure."
            return f"{_where(run)} failed.\n{_traceback(error)}\n{_saved(run)} {again}"
        except KeyboardInterrupt:
            gone = " Its kernel was shut down." if run.end() else ""
            progress.close()
            print(f"Interrupted in {_where(run)}.{gone} {_saved(run)}", file=sys.stderr)
            self.exit(INTERRUPTED)
        except KernelSpecNotFound as error:
            return f"It was not run. {error.message} Give the kernel with --kernel=NAME."
        except GatewayError as error:
            return f"{_where(run)} was not finished. {error.message} {_saved(run)}"
        except NoSuchKernel as error:
            return (
                f"This computer has no kernel {error.name!r}: see `jupyter kernelspec list`, and"
                " choose one with --kernel=NAME, or a gateway with --gateway=NAME=URL."
            )
        except KernelEnded:
            return (
                f"{_where(run)} ended its kernel, with exit() or quit(), so the cells after it did"
                f" not run. {_saved(run)} Take that out and run it again."
            )
        except (OSError, RuntimeError) as error:  # a full disk; a kernel that died
            return f"{_where(run)} was not finished: {error} {_saved(run)}"
        except Exception as error:  # the next notebooks are run in any case
            self.log.debug("The run of %s broke off", run.file.path, exc_info=True)
            what = f"{type(error).__name__}: {error}"
            return f"{_where(run)} was not finished ({what}; --debug says more). {_saved(run)}"
        return ""

    def _nbclient_log(self) -> logging.Logger:
        """nbclient's logger, silenced: this command reports errors itself."""
        log = logging.getLogger(f"{self.log.name}.nbclient")
        log.setLevel(self.log.level if self.log.level <= logging.DEBUG else logging.CRITICAL)
        return log

    def _timeout_reply(self) -> dict[str, Any]:
        text = f"The cell took more than {self.cell_timeout} s and was interrupted (--timeout)."
        return {"ename": "CellTimeout", "evalue": text, "traceback": [f"CellTimeout: {text}"]}


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}"
    return str(error)


def _where(run: Run) -> str:
    return (
        f"cell {run.cell_number} of {len(run.cells)}"
        if run.cell_number
        else "the start of the kernel"
    )


def _saved(run: Run) -> str:
    return f"What ran until then is saved in {run.file.path}." if run.cell_number else ""


def _traceback(error: CellExecutionError) -> str:
    """The error with its traceback, in colours on a terminal."""
    text = str(error).strip()
    return text if sys.stderr.isatty() else ANSI.sub("", text)
