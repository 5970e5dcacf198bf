"""Install what the browser's tests need with apt, where it is missing and apt is there.

That is Chromium, certutil and nginx. tox runs this.

Elsewhere install a Chromium or Chrome by hand, or name one in NOTEBOOK_REMOTE_BROWSER; certutil is
in the package of NSS's tools.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from .support.programs import find_browser, find_nginx


def main() -> None:
    missing = [] if find_browser() else ["chromium"]
    if not shutil.which("certutil"):
        missing.append("libnss3-tools")
    # A service that apt starts: not on a computer of somebody's own.
    if not find_nginx() and (os.geteuid() == 0 or os.environ.get("CI") == "true"):
        missing.append("nginx")
    if not missing or not shutil.which("apt-get"):
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and not shutil.which("sudo"):
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-q", "-y", *missing]):
        if subprocess.run([*sudo, "apt-get", *command], env=env, check=False).returncode:
            what = " and ".join(missing)
            print(f"{what} could not be installed; see CONTRIBUTING.md.", flush=True)
            return


if __name__ == "__main__":
    main()
