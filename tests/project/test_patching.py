"""The tool that checks and builds the patch queue, with a package of its own."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from patches.__main__ import HEADERS, LOCAL_VERSION, main

HEADER = dict.fromkeys(HEADERS, "x") | {
    "Reason": "temporary",
    "Versions": "1.0",
    "Test": "tests/test_it.py::test_it",
}
DIFF = """\
--- a/thing/__init__.py
+++ b/thing/__init__.py
@@ -1,2 +1,2 @@
 FIRST = 1
-SECOND = 2
+SECOND = 22
"""


class Queue:
    """A checkout with one patch, and a folder with the wheel it is for."""

    def __init__(self, root: Path) -> None:
        self.root, self.downloads = root, root / "downloads"
        self.downloads.mkdir()
        (root / "tests").mkdir()
        (root / "tests" / "test_it.py").write_text("def test_it(): ...\n")
        self.folder = root / "patches" / "thing"
        self.folder.mkdir(parents=True)
        self.series("fix.patch")
        self.patch()
        self.wheel("FIRST = 1\nSECOND = 2\n")

    def series(self, *names: str) -> None:
        (self.folder / "series").write_text("\n".join(names))

    def patch(self, diff: str = DIFF, **header: str) -> None:
        fields = "".join(f"{name}: {value}\n" for name, value in (HEADER | header).items())
        (self.folder / "fix.patch").write_text(f"{fields}---\n{diff}")

    def wheel(self, source: str) -> None:
        files = {
            "thing/__init__.py": source,
            "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
            "thing-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: us\n"
            "Root-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = ""
        for name, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode()
            record += f"{name},sha256={digest.rstrip('=')},{len(text)}\n"
        files["thing-1.0.dist-info/RECORD"] = f"{record}thing-1.0.dist-info/RECORD,,\n"
        path = self.downloads / "thing-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        self.names(hashlib.sha256(path.read_bytes()).hexdigest())

    def names(self, sha256: str) -> None:
        upstreams = self.root / "patches" / "upstreams.toml"
        upstreams.write_text(f'[thing]\n"1.0" = "{sha256}"\n')

    def run(self, command: str) -> None:
        options = ["--queue", str(self.root / "patches"), "--downloads", str(self.downloads)]
        main([command, *options, "--output", str(self.root / "out")])


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def test_a_good_queue(queue: Queue, capsys: pytest.CaptureFixture[str]) -> None:
    queue.run("check")
    assert capsys.readouterr().out == "thing==1.0: fix.patch fit\n"


def test_a_patched_wheel_can_be_installed(queue: Queue) -> None:
    queue.run("wheels")
    (wheel,) = (queue.root / "out").iterdir()
    assert wheel.name == f"thing-1.0+{LOCAL_VERSION}-py3-none-any.whl"
    site = queue.root / "site"
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", f"--target={site}"]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    assert (site / "thing" / "__init__.py").read_text() == "FIRST = 1\nSECOND = 22\n"
    assert (site / f"thing-1.0+{LOCAL_VERSION}.dist-info").is_dir()


def refusal(queue: Queue) -> str:
    with pytest.raises(SystemExit) as refused:
        queue.run("check")
    return str(refused.value)


def test_a_patch_that_does_not_fit(queue: Queue) -> None:
    queue.wheel("FIRST = 0\nSECOND = 2\n")  # `patch` would take it, with a fuzz of 1
    assert "fix.patch does not fit thing==1.0" in refusal(queue)


def test_a_patch_that_upstream_has_already(queue: Queue) -> None:
    queue.wheel("FIRST = 1\nSECOND = 22\n")
    assert "thing==1.0 has fix.patch already: delete it" in refusal(queue)


def test_another_wheel(queue: Queue) -> None:
    queue.names("0" * 64)
    assert "is not the wheel that upstreams.toml names" in refusal(queue)


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        ({"Without": ""}, "no header field Without"),
        ({"Reason": "taste"}, "Reason must be one of"),
        ({"Versions": "2.0"}, "Versions does not name 1.0"),
        ({"Test": "tests/test_it.py::test_that"}, "there is no test"),
    ],
)
def test_a_bad_header(queue: Queue, header: dict[str, str], sentence: str) -> None:
    queue.patch(**header)
    assert sentence in refusal(queue)


def test_a_file_that_the_series_does_not_name(queue: Queue) -> None:
    (queue.folder / "other.patch").write_text("")
    assert "other.patch" in refusal(queue)


def test_no_queue(queue: Queue) -> None:
    (queue.root / "patches" / "upstreams.toml").unlink()
    assert "run this in a checkout" in refusal(queue)
