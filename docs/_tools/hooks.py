"""A hook of MkDocs: adds generated pages and pages outside docs/, and adapts the links."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

TOP = Path(__file__).parents[2]
# Pages of the site, by their path in the checkout.
SITE_PAGES = {
    "README.md": "index.md",
    "gateway/README.md": "gateway.md",
    "patches/README.md": "patches.md",
    "CHANGELOG.md": "changelog.md",
}
# Files and sections of the checkout that the site shows as a generated page.
GENERATED = {
    "README.md#options": "options.md",
    "notebook_remote/handlers/openapi.yaml": "rest-api.md",
}
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the pages that are not in docs/; called by MkDocs."""
    for source, page in SITE_PAGES.items():
        if page != "index.md":
            files.append(File.generated(config, page, content=(TOP / source).read_text("utf-8")))
    rest_api = runpy.run_path(str(TOP / "docs" / "_tools" / "rest_api.py"))
    files.append(File.generated(config, "rest-api.md", content=rest_api["page"]()))
    openapi = rest_api["FILE"].read_text("utf-8")
    files.append(File.generated(config, "openapi.yaml", content=openapi))
    options = runpy.run_path(str(TOP / "docs" / "_tools" / "options.py"))
    page = f"# Options\n\n{options['REMARK']}\n{options['table']()}"
    files.append(File.generated(config, "options.md", content=page))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files of the checkout into links within the site; called by MkDocs."""
    homes = {page: str(Path(source).parent) for source, page in SITE_PAGES.items()}
    home = homes.get(page.file.src_uri, "docs") if page.file.src_uri != "index.md" else "docs"

    def link(found: re.Match[str]) -> str:
        target = (TOP / home / found[1]).resolve().relative_to(TOP).as_posix()
        anchor = found[2] or ""
        if target + anchor in GENERATED:
            return f"]({GENERATED[target + anchor]})"
        if target in SITE_PAGES:
            return f"]({SITE_PAGES[target]}{anchor})"
        if target.startswith("docs/"):
            return f"]({target.removeprefix('docs/')}{anchor})"
        return f'](# "{target}, in the checkout")'

    return LINK.sub(link, markdown)
