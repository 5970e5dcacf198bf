"""Writes the tables of docs/drop-in.md from the stock classes: ``python docs/_tools/dropin.py``.

An option that means the same in both commands needs no line here; a remark describes a difference.
tests/end_to_end/test_dropin.py verifies "the same" by comparing both commands.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from jupyter_server.gateway import connections, gateway_client, managers
from jupyter_server.gateway.gateway_client import GatewayClient
from jupyter_server.serverapp import aliases, flags
from notebook.app import JupyterNotebookApp

PAGE = Path(__file__).parents[1] / "drop-in.md"
SAME = "the same"

OPTIONS = {
    "config": "the same: read instead of all other files except those of the server",
    "debug": "the same, also for the embedded gateway's log",
    "generate-config": "writes `jupyter_notebook_remote_config.py`, including our options",
    "gateway-url": "the same; it stands for `Gateway.url`",
    "pylab": "the same: refused",
    "script": "the same: accepted and ignored",
    "no-script": "the same: accepted and ignored",
    "transport": "the same, for kernels of this computer (embedded gateway, `--mode=local`)",
}
CLIENT = {
    "accept_cookies": "the same; the variable is read as in `validate_cert`",
    "allowed_envs": "the same",
    "auth_scheme": "the same; empty or `None` sends the token alone, while the stock client sends"
    " the word None",
    "auth_token": "the same; alternatively `--gateway-token-file` reads the token from a file",
    "ca_certs": "the same; the stock client reads it only together with `client_cert`",
    "connect_timeout": "the same; the default is 10 s, and 40 s in the stock client",
    "env_whitelist": "the same: deprecated, added to `allowed_envs`",
    "event_logger": "no effect: it is an object, which cannot be set in a file or on the command"
    " line; our events go to the server's own logger",
    "gateway_retry_interval": "between attempts to open a kernel's channels",
    "gateway_retry_interval_max": "the same",
    "gateway_retry_max": "the same; all attempts together end after `connect_timeout`, and then the"
    " page retries",
    "gateway_token_renewer_class": "the same: called before each request",
    "launch_timeout_pad": "the same",
    "request_timeout": "the same; `Gateway.kernel_start_timeout` is a timeout for starts only",
    "url": "the same; `user:password@` and `?token=` in it are used, but not shown. Empty: the"
    " embedded gateway",
    "validate_cert": "the same; `0`, `off` and `False` in the variable mean false as well, while"
    " the stock client takes them for true",
}
VARIABLES = {
    "JUPYTER_GATEWAY_ENV_WHITELIST": "the same as `env_whitelist`",
    "JUPYTER_GATEWAY_MAX_REQUEST_RETRIES": "the same, for GET and DELETE; the default is 2",
    "KERNEL_LAUNCH_TIMEOUT": "sent with a kernel's start, and raises the timeout of the start if"
    " necessary",
    "KERNEL_USERNAME": "sent with a kernel's start, like every `KERNEL_…` variable",
    "KERNEL_WORKING_DIR": "for Enterprise Gateway, by default the notebook's folder",
}


def stock_options() -> dict[str, str]:
    """The long form of each short option of `jupyter notebook`, by its name without dashes."""
    stands_for = {
        name: ", ".join(
            f"{section}.{trait}={value}"
            for section, traits in settings.items()
            for trait, value in traits.items()
        )
        for name, (settings, _) in {**flags, **JupyterNotebookApp.flags}.items()
    }
    valued = {
        name: f"{trait}=…" for name, trait in {**aliases, **JupyterNotebookApp.aliases}.items()
    }
    return {**stands_for, **valued}


def stock_variables() -> set[str]:
    """The environment variables that the stock gateway client names in its source."""
    sources = "".join(map(inspect.getsource, (connections, gateway_client, managers)))
    return set(re.findall(r"\b(?:JUPYTER_GATEWAY|KERNEL)_[A-Z_]+\b", sources)) - {
        "KERNEL_LAUNCH_TIME"  # in a comment
    }


def variable_of(trait: str) -> str:
    return str(getattr(GatewayClient, f"{trait}_env", ""))


def options_table() -> str:
    lines = ["| Option | Stands for | Here |", "|---|---|---|"]
    for name, stands_for in sorted(stock_options().items()):
        option = f"-{name}" if len(name) == 1 else f"--{name}"
        lines.append(f"| `{option}` | `{stands_for}` | {OPTIONS.get(name, SAME)} |")
    return "\n".join(lines) + "\n"


def client_table() -> str:
    lines = ["| `GatewayClient.` | Environment variable | Here |", "|---|---|---|"]
    named = set()
    for trait in sorted(GatewayClient.class_trait_names(config=True)):
        variable = variable_of(trait)
        named.add(variable)
        shown = f"`{variable}`" if variable else ""
        lines.append(f"| `{trait}` | {shown} | {CLIENT.get(trait, SAME)} |")
    others = sorted(stock_variables() - named)
    lines += [f"|  | `{name}` | {VARIABLES[name]} |" for name in others]  # a new one needs a remark
    return "\n".join(lines) + "\n"


def with_tables(page: str) -> str:
    """The text of a page with current tables."""
    for name, table in (("options", options_table()), ("client", client_table())):
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = before + begin + table + end + after
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
