"""Writes the table of options in README.md from the traits: ``python docs/_tools/options.py``."""

from __future__ import annotations

from pathlib import Path

from traitlets import Undefined

from notebook_remote.app import OUR_ALIASES
from notebook_remote.config.gateway import Gateway
from notebook_remote.config.named import Gateways

README = Path(__file__).parents[2] / "README.md"
REMARK = """\
`jupyter notebook-remote --help` lists the common options, and `--help-all` lists all. In the
configuration file `jupyter_notebook_remote_config.py`, which `--generate-config` writes, they are
`c.Gateway.url = "…"` and so on. The options of jupyter_server's own gateway client
(`GatewayClient.…`) are read as well. The options of a gateway with a name are set with
`NOTEBOOK_REMOTE_<NAME>_<OPTION>`, or in `Gateways.named`.
"""
BEGIN, END = "<!-- options: begin -->\n", "<!-- options: end -->\n"


def shown(default: object) -> str:
    """A default value as Markdown; empty if there is none."""
    if isinstance(default, type):
        return f"`{default.__name__}`"
    return f"`{default}`" if default not in ("", None, Undefined) else ""


def table() -> str:
    """The table, with a row for each option of ``Gateways`` and ``Gateway``."""
    shorter = {trait: alias for alias, trait in OUR_ALIASES.items()}
    lines = ["| Option | Environment variable | Default | Meaning |", "|---|---|---|---|"]
    options = [
        (f"{cls.__name__}.{name}", trait)
        for cls in (Gateway, Gateways)
        for name, trait in cls.class_traits(config=True).items()
        if "env" in trait.metadata
    ]
    # Options with a short name come first.
    for full, trait in sorted(options, key=lambda option: option[0] not in shorter):
        option = f"`--{shorter[full]}`, `{full}`" if full in shorter else f"`{full}`"
        text = " ".join(trait.help.split()).replace("|", "\\|")
        variable = trait.metadata["env"]
        lines.append(f"| {option} | `{variable}` | {shown(trait.default_value)} | {text} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str) -> str:
    """The text of README.md with a current table."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
