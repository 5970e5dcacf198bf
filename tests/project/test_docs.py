"""The documentation is current."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from notebook_remote.app import RemoteNotebookApp
from notebook_remote.cli.doctor import DoctorApp
from notebook_remote.cli.run import RunApp
from notebook_remote.config.gateway import Gateway
from notebook_remote.config.named import Gateways

from ..support.docs_tools import docs_tool

TOP = Path(__file__).parents[2]
README = (TOP / "README.md").read_text(encoding="utf-8")
PAGES = [TOP / "README.md", TOP / "gateway" / "README.md", *sorted(TOP.glob("docs/*.md"))]
NAMED = re.compile(r"(?<!\w)(?:tests/)?((?:\w+/)*test_\w+\.py)::(\w+)")
GATEWAYS = ("embedded", "jupyter-server", "kernel-gateway", "enterprise-gateway")
KNOWN = {
    *(
        name
        for app in (RemoteNotebookApp, DoctorApp, RunApp)
        for name in {**app.aliases, **app.flags}
    ),
    *(f"{cls.__name__}.{name}" for cls in (Gateway, Gateways) for name in cls.class_trait_names()),
}


def test_the_table_of_options_is_current() -> None:
    options = docs_tool("options")
    assert options.with_table(README) == README, "run: python docs/_tools/options.py"
    assert "--gateway-token-file" in options.table()


def test_pictures_and_links_exist() -> None:
    for page in [*TOP.glob("*.md"), *TOP.glob("docs/*.md"), *TOP.glob("patches/*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def functions(file: str) -> str:
    return (TOP / "tests" / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    for file, function in NAMED.findall(page.read_text(encoding="utf-8")):
        assert f"def {function}(" in functions(file), function


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_tested_or_say_what_they_need(page: Path) -> None:
    """A block of commands is preceded by a comment: ``tested by: …`` or ``needs: …``."""
    text = page.read_text(encoding="utf-8")
    unmarked = re.findall(r"(?<! -->)\n(```bash\n.*?```)", text, re.DOTALL)
    assert not unmarked, unmarked[0]
    for tests in re.findall(r"<!-- tested by: (.*?) -->", text):
        assert NAMED.findall(tests), tests
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
        for command in block.replace("\\\n", " ").splitlines():
            ours = command.partition("jupyter notebook-remote")[2]
            for option in re.findall(r"\s--([\w.-]+)", ours):
                assert option in KNOWN, option


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_installed_by_a_name_that_the_index_does_not_have(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for words in re.findall(r"pip install ([^`\n&#]*)", text):
        assert not re.search(r"(?<![./-])\bnotebook-remote", words), words


def test_each_tick_of_the_table_is_a_test_with_that_gateway() -> None:
    table = (TOP / "docs" / "compatibility.md").read_text(encoding="utf-8")
    lines = [line.strip("|").split("|") for line in table.splitlines() if "test_" in line]
    rows = [[cell.strip() for cell in line] for line in lines]
    assert len(rows) > 10
    named = sorted(
        {f"tests/{file}::{test}" for row in rows for file, test in NAMED.findall(row[5])}
    )
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *named]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    listed = done.stdout.splitlines()
    for what, *cells, tests in rows:
        for kind, cell in zip(GATEWAYS, cells, strict=True):
            if "✓" in cell:
                # "four" has all of them at once.
                assert any(
                    f"::{test}" in line and (kind in line or "four" in line)
                    for _, test in NAMED.findall(tests)
                    for line in listed
                ), f"{what}: {kind}"


def test_the_ci_runs_the_readmes_test_command() -> None:
    command = re.search(r"<!-- test command -->\n```bash\n(.*?)\n```", README, re.DOTALL)
    assert command is not None
    assert "tox" in command[1]
