"""Install Chromium with apt where there is none and where that is possible; tox runs this.

Elsewhere install a Chromium or Chrome by hand, or name one in NOTEBOOK_REMOTE_BROWSER.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from .conftest import find_browser


def main() -> None:
    if find_browser() or not shutil.which("apt-get"):
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and not shutil.which("sudo"):
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "-y", "chromium"]):
        if subprocess.run([*sudo, "apt-get", *command], env=env, check=False).returncode:
            print("Chromium could not be installed; see CONTRIBUTING.md.", flush=True)
            return


if __name__ == "__main__":
    main()
