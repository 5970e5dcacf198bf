"""``jupyter notebook-remote kernels``: our kernels, seen and shut down from a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx
from jupyter_core.application import JupyterApp, base_flags
from jupyter_core.paths import jupyter_data_dir
from jupyter_server.serverapp import list_running_servers
from traitlets import Bool, Dict

from ._version import __version__
from .store import left_behind

Model = dict[str, Any]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PATIENCE = 10.0  # seconds for one server
USAGE = """\
jupyter notebook-remote kernels list
jupyter notebook-remote kernels shutdown KERNEL-ID
"""


class KernelsApp(JupyterApp):
    """List the kernels of your notebook servers on all gateways, and shut them down.

    Those that no notebook uses are among them, and those that a server which has stopped has left
    on a gateway. Only kernels that were started by your notebook servers, or adopted, are listed.
    """

    name = "jupyter-notebook-remote-kernels"
    version = __version__
    description = __doc__
    examples = USAGE
    flags: ClassVar[dict[str, Any]] = {
        **base_flags,
        "json": ({"KernelsApp": {"as_json": True}}, "Print JSON."),
    }
    aliases = Dict()

    as_json = Bool(False, help="Print JSON instead of a table.").tag(config=True)

    def start(self) -> None:
        """Do what the command line says. Ends the program with 1 if it could not be done."""
        super().start()
        words = list(self.extra_args)
        if words in ([], ["list"]):
            self._list()
        elif len(words) == 2 and words[0] == "shutdown":
            self._shut_down(words[1])
        else:
            sys.exit(f"This is not understood: {' '.join(words)}. Usage:\n{USAGE}")

    def _list(self) -> None:
        servers = [(server, kernels) for server, kernels, _ in self._servers()]
        left = [(root, kernel) for root, kernel in left_behind(_folder())]
        if self.as_json:
            found = [{"server": s["url"], **kernel} for s, kernels in servers for kernel in kernels]
            stopped = [{"root_dir": root, **vars(kernel)} for root, kernel in left]
            print(json.dumps({"kernels": found, "left_behind": stopped}, indent=2))
            return
        for server, kernels in servers:
            print(f"Server at {server['url']} in {server['root_dir']}:")
            _table([_row(kernel) for kernel in kernels] or [["no kernels"]])
        for root in dict.fromkeys(root for root, _ in left):
            print(f"Left by a server in {root} that has stopped; start one there to have them:")
            _table([[k.kernel_id, k.name, k.gateway, k.started] for r, k in left if r == root])
        if not servers and not left:
            print("There are no kernels, and no server of yours runs.")

    def _shut_down(self, kernel_id: str) -> None:
        for server, kernels, client in self._servers():
            if kernel_id in [kernel["id"] for kernel in kernels]:
                answer = client.delete(f"api/kernels/{kernel_id}")
                if answer.status_code != 204:
                    sys.exit(f"It was not shut down: {_words(answer)}")
                print(f"Shut down, on {server['url']}.")
                return
        for root, kernel in left_behind(_folder()):
            if kernel.kernel_id == kernel_id:
                sys.exit(
                    f"It was left on {kernel.gateway} by a server in {root} that has stopped:"
                    " start one there with that gateway, and shut it down in its Running page."
                )
        sys.exit(f"No kernel of yours has the id {kernel_id}: see `kernels list`.")

    def _servers(self) -> Iterator[tuple[Model, list[Model], httpx.Client]]:
        """The running servers that are ours, their kernels, and a client for each."""
        for server in list_running_servers(self.runtime_dir, log=self.log):
            headers = {"Authorization": f"token {server['token']}"} if server["token"] else {}
            try:
                with httpx.Client(
                    base_url=server["url"],
                    headers=headers,
                    timeout=PATIENCE,
                    # On this computer a certificate proves nothing that the user's own file does
                    # not, and it may be one that only browsers were told to trust.
                    verify=urlsplit(server["url"]).hostname not in LOOPBACK,
                    trust_env=False,
                ) as client:
                    answer = client.get("notebook-remote/api/kernels")
                    if answer.status_code == 200:
                        yield server, answer.json()["kernels"], client
                    elif answer.status_code != 404:  # else it is not one of ours
                        self.log.warning(
                            "The server at %s does not tell: %s", server["url"], _words(answer)
                        )
            except httpx.HTTPError as error:
                self.log.warning(
                    "The server at %s does not answer (%s).", server["url"], type(error).__name__
                )


def _folder() -> Path:
    return Path(jupyter_data_dir()) / "notebook-remote"


def _row(kernel: Model) -> list[str]:
    users = ", ".join(session["path"] for session in kernel["sessions"])
    kept = ", is kept" if kernel["on_exit"] == "keep" else ""
    state = f"{kernel['execution_state']}{kept}"
    return [kernel["id"], kernel["name"], kernel["backend"], state, users or "without a notebook"]


def _table(rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print(f"  {'  '.join(cells)}".rstrip())


def _words(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message") or answer.reason_phrase)
    except ValueError:
        return f"HTTP {answer.status_code}"
