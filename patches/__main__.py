"""The patch queue in ``patches/``: checks it against upstream's wheels, and builds patched ones.

``python -m patches check`` and ``… wheels``, in a checkout; for maintainers, for
CI, and for those who build images. The product itself never uses it: it works without any patch.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

QUEUE = Path(__file__).parents[1] / "patches"
LOCAL_VERSION = "nbremote.2"  # of our wheels; to be raised when a patch changes
# DEP-3's (https://dep-team.pages.debian.net/deps/dep3/), and what our rule asks for.
HEADERS = (
    "Description",
    "Origin",
    "Forwarded",
    "Author",
    "Last-Update",
    "Reason",
    "Why-Not-A-Seam",
    "Versions",
    "Test",
    "Without",
)
REASONS = ("temporary", "cannot-subclass", "incompatible")


class PatchError(Exception):
    """Something in the queue is wrong; the text says what, and what to do."""


@dataclass(frozen=True)
class Patch:
    """A unified diff with a header."""

    path: Path

    @property
    def headers(self) -> dict[str, str]:
        """The fields of its header, by their names."""
        text = self.path.read_text(encoding="utf-8")
        return dict(HeaderParser().parsestr(text.partition("\n---\n")[0]).items())

    def faults(self, version: str) -> Iterator[str]:
        """What is wrong with its header, for a version that it is used on."""
        headers = self.headers
        for name in HEADERS:
            if not headers.get(name, "").strip():
                yield f"{self.path.name} has no header field {name}"
        if headers.get("Reason") not in REASONS:
            yield f"{self.path.name}: Reason must be one of {', '.join(REASONS)}"
        if version not in re.split(r"[,\s]+", headers.get("Versions", "")):
            yield f"{self.path.name}: Versions does not name {version}, which upstreams.toml does"
        test = headers.get("Test", "").partition("::")
        file = self.path.parents[2] / test[0]
        if not file.is_file() or f"def {test[2]}(" not in file.read_text(encoding="utf-8"):
            yield f"{self.path.name}: there is no test {headers.get('Test')!r}"


@dataclass(frozen=True)
class Release:
    """A wheel that patches are for."""

    package: str
    version: str
    sha256: str
    patches: tuple[Patch, ...]

    @property
    def requirement(self) -> str:
        """How pip knows it."""
        return f"{self.package}=={self.version}"


def read_queue(queue: Path) -> list[Release]:
    """All releases that are patched. Raises PatchError."""
    try:
        upstreams: dict[str, Any] = tomllib.loads(
            (queue / "upstreams.toml").read_text(encoding="utf-8")
        )
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PatchError(f"No queue in {queue} ({error}): run this in a checkout.") from None
    releases = []
    for package, versions in upstreams.items():
        folder = queue / package
        names = (folder / "series").read_text(encoding="utf-8").split()
        if unlisted := sorted({file.name for file in folder.glob("*.patch")} ^ set(names)):
            raise PatchError(f"{folder / 'series'} and the files beside it differ: {unlisted}")
        patches = tuple(Patch(folder / name) for name in names)
        releases += [Release(package, v, sha256, patches) for v, sha256 in versions.items()]
    return releases


def fetch(release: Release, folder: Path) -> Path:
    """The release's wheel, from ``folder`` or downloaded into it. Raises PatchError."""
    pattern = f"{release.package.replace('-', '_')}-{release.version}-*.whl"
    if not any(folder.glob(pattern)):
        _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
             f"--dest={folder}", release.requirement)  # fmt: skip
    wheel = next(folder.glob(pattern))
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != release.sha256:
        raise PatchError(
            f"{wheel.name} is not the wheel that upstreams.toml names: its SHA-256 is {found}."
        )
    return wheel


def apply(release: Release, tree: Path) -> None:
    """Apply the release's patches in their order to an unpacked wheel. Raises PatchError."""
    for patch in release.patches:
        if faults := list(patch.faults(release.version)):
            raise PatchError("; ".join(faults))
        if _git_apply(tree, patch, "--check", "--reverse") is None:
            raise PatchError(f"{release.requirement} has {patch.path.name} already: delete it.")
        if (failed := _git_apply(tree, patch)) is not None:
            raise PatchError(f"{patch.path.name} does not fit {release.requirement}:\n{failed}")


def build(release: Release, wheel: Path, output: Path) -> Path:
    """Make a patched wheel in ``output``, with a version and a RECORD of its own."""
    with tempfile.TemporaryDirectory() as work:
        tree = _unpack(wheel, Path(work))
        apply(release, tree)
        version = f"{release.version}+{LOCAL_VERSION}"
        (info,) = tree.glob("*.dist-info")
        metadata = info / "METADATA"
        text = metadata.read_text(encoding="utf-8")
        text = re.sub(r"(?m)^Version: .*$", f"Version: {version}", text, count=1)
        metadata.write_text(text, encoding="utf-8")
        info.rename(info.with_name(info.name.replace(release.version, version)))
        _run(sys.executable, "-m", "wheel", "pack", f"--dest-dir={output}", str(tree))
    (built,) = output.glob(f"{wheel.name.split('-')[0]}-{version}-*.whl")
    return built


def check(release: Release, wheel: Path) -> None:
    """See whether the patches fit. Raises PatchError."""
    with tempfile.TemporaryDirectory() as work:
        apply(release, _unpack(wheel, Path(work)))


def _unpack(wheel: Path, folder: Path) -> Path:
    _run(sys.executable, "-m", "wheel", "unpack", f"--dest={folder}", str(wheel))
    (tree,) = folder.iterdir()
    return tree


def _git_apply(tree: Path, patch: Patch, *options: str) -> str | None:
    """What git says against it, if anything. It knows no fuzz: every line must be as expected."""
    # Without this, git takes a directory in a checkout as a part of that checkout.
    env = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    command = ["git", "apply", "-p1", *options, str(patch.path.resolve())]
    done = subprocess.run(  # noqa: S603
        command, cwd=tree, env=env, capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode else None


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise PatchError(f"{' '.join(command[1:4])} failed:\n{done.stderr}{done.stdout}")


def main(arguments: list[str] | None = None) -> None:
    """Do what the command line says. Ends the program with 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m patches", description=__doc__)
    parser.add_argument("command", choices=("check", "wheels"))
    parser.add_argument("--queue", type=Path, default=QUEUE, help="the directory of the patches")
    parser.add_argument("--downloads", type=Path, help="where upstream's wheels are, or are put")
    parser.add_argument("--output", type=Path, default=Path("dist"), help="for patched wheels")
    options = parser.parse_args(arguments)
    say = sys.stdout.write
    try:
        with tempfile.TemporaryDirectory() as temporary:
            for release in read_queue(options.queue):
                wheel = fetch(release, options.downloads or Path(temporary))
                names = ", ".join(patch.path.name for patch in release.patches)
                if options.command == "check":
                    check(release, wheel)
                    say(f"{release.requirement}: {names} fit\n")
                else:
                    options.output.mkdir(parents=True, exist_ok=True)
                    say(f"{build(release, wheel, options.output)}: with {names}\n")
    except PatchError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
