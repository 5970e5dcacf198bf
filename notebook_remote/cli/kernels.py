"""The command ``jupyter notebook-remote kernels``: lists and shuts down our kernels."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import httpx
from jupyter_core.application import JupyterApp, base_flags
from jupyter_core.paths import jupyter_data_dir
from jupyter_server.serverapp import list_running_servers
from jupyter_server.utils import check_pid
from traitlets import Bool, Dict

from .._version import __version__
from ..storage.session_store import StoredKernel, orphaned_kernels
from ..types import JsonObject

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EMBEDDED = "embedded-"  # the prefix of embedded gateways' keys in the store
REQUEST_TIMEOUT = 10.0  # seconds for the request to one server
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
        """Run the subcommand of the command line. Exits with 1 if it fails."""
        super().start()
        words = list(self.extra_args)
        if words in ([], ["list"]):
            self._list()
        elif len(words) == 2 and words[0] == "shutdown":
            self._shut_down(words[1])
        else:
            sys.exit(f"There is no command `kernels {' '.join(words)}`. There are:\n{USAGE}")

    def _list(self) -> None:
        servers = [(server, kernels) for server, kernels, _ in self._servers()]
        orphans = list(self._orphans())
        if self.as_json:
            found = [{"server": s["url"], **kernel} for s, kernels in servers for kernel in kernels]
            stopped = [{"root_dir": root, **vars(kernel)} for root, kernel in orphans]
            print(json.dumps({"kernels": found, "left_behind": stopped}, indent=2))
            return
        for server, kernels in servers:
            print(f"Server at {server['url']} in {server['root_dir']}:")
            _table([_row(kernel) for kernel in kernels] or [["no kernels"]])
        for root in dict.fromkeys(root for root, _ in orphans):
            print(
                f"A server in {root} that has stopped has left these; start one there to use them:"
            )
            _table([_orphan_row(kernel) for r, kernel in orphans if r == root])
        if not servers and not orphans:
            print("No notebook server of yours is running, and none has left kernels behind.")

    def _orphans(self) -> Iterator[tuple[str, StoredKernel]]:
        """The kernels of stopped servers, without those of embedded gateways that have ended."""
        for root, kernel in orphaned_kernels(_folder()):
            if not kernel.gateway.startswith(EMBEDDED) or self._is_running(kernel.gateway):
                yield root, kernel

    def _is_running(self, key: str) -> bool:
        """Whether the process in an embedded gateway's info file is running."""
        try:
            info = json.loads(
                (Path(self.runtime_dir) / "notebook-remote" / f"{key}.json").read_text()
            )
            return bool(check_pid(int(info["pid"])))
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def _shut_down(self, kernel_id: str) -> None:
        for server, kernels, client in self._servers():
            if kernel_id in [kernel["id"] for kernel in kernels]:
                # A server without a token requires these instead, with any value.
                headers = {"Cookie": "_xsrf=notebook-remote", "X-XSRFToken": "notebook-remote"}
                answer = client.delete(f"api/kernels/{kernel_id}", headers=headers)
                if answer.status_code != 204:
                    sys.exit(f"It was not shut down: {_reason(answer)}")
                print(f"Shut down, on {server['url']}.")
                return
        for root, kernel in self._orphans():
            if kernel.kernel_id == kernel_id:
                sys.exit(
                    f"A server in {root} that has stopped has left it on {_backend_name(kernel)}:"
                    " start one there with that gateway, and shut it down on its Running page."
                )
        sys.exit(
            f"No kernel of yours has the id {kernel_id}: `jupyter notebook-remote kernels list`"
            " shows those that there are."
        )

    def _servers(self) -> Iterator[tuple[JsonObject, list[JsonObject], httpx.Client]]:
        """The running servers of notebook-remote, their kernels, and a client for each."""
        for server in list_running_servers(self.runtime_dir, log=self.log):
            headers = {"Authorization": f"token {server['token']}"} if server["token"] else {}
            try:
                with httpx.Client(
                    base_url=server["url"],
                    headers=headers,
                    timeout=REQUEST_TIMEOUT,
                    # On this computer the server's info file, which only its user can write,
                    # is proof enough; its certificate may be one that only browsers trust.
                    verify=urlsplit(server["url"]).hostname not in LOOPBACK,
                    trust_env=False,
                ) as client:
                    answer = client.get("notebook-remote/api/kernels")
                    if answer.status_code == 200:
                        kernels = answer.json()["kernels"]
                        yield server, kernels if isinstance(kernels, list) else [], client
                    elif answer.status_code in (302, 401, 403) and not server["token"]:
                        self.log.warning(
                            "The server at %s has a password in place of a token, so that this"
                            " command cannot ask it: its Running page shows its kernels.",
                            server["url"],
                        )
                    elif answer.status_code != 404:  # else it is not one of ours
                        self.log.warning(
                            "The server at %s does not list its kernels: %s",
                            server["url"],
                            _reason(answer),
                        )
            except (httpx.HTTPError, httpx.InvalidURL, LookupError, ValueError) as error:
                self.log.warning(
                    "The server at %s does not answer (%s).", server["url"], type(error).__name__
                )


def _folder() -> Path:
    return Path(jupyter_data_dir()) / "notebook-remote"


def _row(kernel: JsonObject) -> list[object]:
    users = ", ".join(str(session["path"]) for session in kernel.get("sessions") or ())
    kept = ", is kept" if kernel.get("on_exit") == "keep" else ""
    state = f"{kernel.get('execution_state') or 'unknown'}{kept}"
    place = [kernel["id"], kernel.get("name"), kernel.get("backend")]
    return [*place, state, users or "without a notebook"]


def _orphan_row(kernel: StoredKernel) -> list[object]:
    return [kernel.kernel_id, kernel.name, _backend_name(kernel), kernel.started]


def _backend_name(kernel: StoredKernel) -> str:
    return "this computer" if kernel.gateway.startswith(EMBEDDED) else kernel.gateway


def _table(rows: Sequence[Sequence[object]]) -> None:
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print(f"  {'  '.join(cells)}".rstrip())


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message") or answer.reason_phrase)
    except ValueError:
        return f"HTTP {answer.status_code}"
