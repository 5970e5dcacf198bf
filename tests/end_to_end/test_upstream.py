"""jupyter_server's own tests for kernels, sessions and kernelspecs, over HTTP.

They come from the source distribution of the jupyter_server that is installed. What passes with
``jupyter server`` itself as the running server passes with ours, in every mode.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ..support.servers import Farm, Server

PLUGIN = Path(__file__).parent / "upstream"
FOLDERS = ("kernels", "sessions", "kernelspecs")
BASE_URL = "/a%40b/"  # as in upstream's own fixtures
FEWEST = 40  # tests of jupyter_server 2.21 that speak HTTP, about; to see that there are any

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def upstream_tests(request: pytest.FixtureRequest) -> Path:
    """The folder with the tests that belong to the jupyter_server that is installed."""
    release = f"jupyter_server-{version('jupyter_server')}"
    folder = request.config.cache.mkdir(release)
    archive = folder / f"{release}.tar.gz"
    if not archive.exists():
        requirement = release.replace("-", "==")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        options = ["--no-binary=jupyter_server", f"--dest={folder}", requirement]
        subprocess.run([*command, *options], check=True)
    # Without the package beside them, which the tests would import instead of the installed one.
    with tarfile.open(archive) as source:
        tests = [m for m in source.getmembers() if m.name.startswith(f"{release}/tests/")]
        source.extractall(folder, members=tests, filter="data")
    return folder / release


@pytest.mark.parametrize("mode", ["stock", "embedded", "local", "gateway"])
def test_jupyter_server(mode: str, farm: Farm, upstream_tests: Path) -> None:
    """With "stock" the tests exempt from this are shown to need it: they fail there."""
    if mode == "stock":
        server = kernels_at = farm.gateway("jupyter-server", base_url=BASE_URL)
    elif mode == "gateway":
        kernels_at = farm.gateway("jupyter-server")
        server = farm.notebook(gateway=kernels_at, base_url=BASE_URL)
        kernels_at.command.append(f"--ServerApp.root_dir={server.folder}")
        kernels_at.start()
    else:
        options = ["--mode=local"] if mode == "local" else []
        server = kernels_at = farm.notebook(*options, base_url=BASE_URL)
    # Upstream's tests of paths with "~" have it for their user's home.
    server.env["HOME"] = str(server.folder)
    server.start()
    results, output = run(server, kernels_at, upstream_tests, farm.folder / "report.xml")
    failed = [test for test, passed in results.items() if not passed]
    assert not failed, f"{failed}\n{output}"
    assert len(results) > FEWEST, output


def run(
    server: Server, kernels_at: Server, tests: Path, report: Path
) -> tuple[dict[str, bool], str]:
    """Whether each test passed, and what pytest wrote."""
    command = [
        *(sys.executable, "-m", "pytest", f"--rootdir={tests}", f"--config-file={os.devnull}"),
        # What comes later wins: our fixtures over upstream's of the same names.
        *("-p", "jupyter_server.pytest_plugin", "-p", "over_http", "-p", "no:cacheprovider"),
        f"--junitxml={report}",
        *(f"tests/services/{folder}" for folder in FOLDERS),
    ]
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        "PYTHONPATH": str(PLUGIN),
        "UPSTREAM_URL": server.url,
        "UPSTREAM_TOKEN": server.token,
        "UPSTREAM_ROOT": str(server.folder),
        "UPSTREAM_DATA": kernels_at.env["JUPYTER_DATA_DIR"],
        "UPSTREAM_REFERENCE": "1" if server.stock else "",
    }
    done = subprocess.run(command, cwd=tests, env=env, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert report.exists(), output
    return {
        f"{case.get('classname')}.{case.get('name')}": not any(
            outcome.tag in ("failure", "error") for outcome in case
        )
        for case in ElementTree.parse(report).iter("testcase")
    }, output
