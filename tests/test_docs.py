"""The documentation is current."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")


def test_the_table_of_options_is_current() -> None:
    spec = importlib.util.spec_from_file_location("options", TOP / "docs" / "options.py")
    assert spec is not None
    assert spec.loader is not None
    options = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(options)
    assert options.with_table(README) == README, "run: python docs/options.py"
    assert "--gateway-token-file" in options.table()


def test_pictures_and_links_exist() -> None:
    for page in [*TOP.glob("*.md"), *TOP.glob("docs/*.md"), *TOP.glob("patches/*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_tests_named_by_the_security_page_exist() -> None:
    text = (TOP / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", text)
    assert len(named) > 5
    for file, function in named:
        assert f"def {function}(" in (TOP / "tests" / file).read_text(encoding="utf-8"), function


def test_the_ci_runs_the_readmes_test_command() -> None:
    command = re.search(r"<!-- test command -->\n```bash\n(.*?)\n```", README, re.DOTALL)
    assert command is not None
    assert "tox" in command[1]
