"""The packages: imports point one way, every module has its tests, and every package its row."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import notebook_remote

PACKAGE = Path(notebook_remote.__file__).parent
TOP = Path(__file__).parents[2]
TESTS = TOP / "tests"
# A package or module imports from lower lines only, those of one line nothing of each other.
LAYERS = [
    {"_version", "exceptions", "kernel_environment", "redaction", "concurrency", "types", "net"},
    {"compat", "kernelspec_names"},
    {"config"},
    {"client", "storage", "embedded", "doctor"},
    {"backends", "headless"},
    {"services", "cli"},
    {"handlers"},
    {"app"},
    {"__init__", "__main__"},
]
MOST_MODULES = 16  # in a folder
# Modules without a test file of their own, and where they are tested instead.
TESTED_ELSEWHERE: dict[str, str] = {
    "__main__": "test_app.py",
    "backends.base": "backends/test_registry.py",
    "backends.local": "backends/test_registry.py",
    "backends.manager": "handlers/test_backends.py",
    "backends.remote.backend": "backends/test_registry.py",
    "backends.remote.gateway": "backends/remote/test_multikernel_manager.py",
    "backends.remote.kernel_manager": "backends/remote/test_multikernel_manager.py",
    "backends.remote.metrics": "backends/remote/test_links.py",
    "cli.doctor": "doctor/test_examination.py",
    "client.channels": "handlers/test_channels.py",
    "client.connection": "end_to_end/test_errors.py",
    "client.http_client": "client/test_rest.py",
    "compat.local_kernels": "end_to_end/test_stops.py",
    "config.base_app": "doctor/test_examination.py",
    "config.named": "backends/test_registry.py",
    "doctor.checks.kernel": "doctor/test_examination.py",
    "doctor.checks.local": "doctor/test_examination.py",
    "doctor.checks.messages": "doctor/test_examination.py",
    "doctor.checks.network": "doctor/test_examination.py",
    "doctor.checks.rest": "doctor/test_examination.py",
    "doctor.transport": "doctor/test_examination.py",
    "embedded.kernel_config": "embedded/test_supervisor.py",
    "embedded.server": "embedded/test_supervisor.py",
    "handlers.api": "handlers/test_backends.py",
    "handlers.contents": "backends/test_registry.py",
    "handlers.examinations": "handlers/test_backends.py",
    "handlers.kernelspecs": "backends/remote/test_kernelspecs.py",
    "handlers.own_kernels": "handlers/test_backends.py",
    "handlers.request_log": "end_to_end/test_errors.py",
    "handlers.routes": "handlers/test_kernels.py",
    "handlers.sessions": "services/test_session_manager.py",
    "headless.channels": "headless/test_manager.py",
    "headless.client": "headless/test_manager.py",
    "headless.kernel": "headless/test_manager.py",
    "headless.notebook_run": "cli/test_run.py",
    "headless.papermill": "headless/test_manager.py",
    "services.kernel_manager": "backends/test_registry.py",
    "services.kernelspec_manager": "backends/test_registry.py",
    "services.server_clients": "end_to_end/test_server_extensions.py",
    "storage.session_file": "storage/test_session_store.py",
    "storage.session_writer": "storage/test_session_store.py",
}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module's dotted name below the package, and its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if not name.startswith(("frontend.", "labextension.")):
            yield name.removesuffix(".__init__"), path


def imports_of(name: str, path: Path) -> tuple[set[str], set[str]]:
    """The modules of ours that one imports, by their dotted names, and other top-level packages."""
    ours, others = set(), set()
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] if name != "__init__" else []
            inside = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                folder = PACKAGE.joinpath(*inside)
                is_module = (folder / f"{alias.name}.py").exists() or (folder / alias.name).is_dir()
                ours.add(".".join([*inside, alias.name] if is_module else inside))
        elif isinstance(node, ast.ImportFrom):
            others.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
    return ours, others


def test_imports_point_downwards() -> None:
    level = {package: n for n, packages in enumerate(LAYERS) for package in packages}
    for name, path in modules():
        here = name.split(".")[0]
        for other in imports_of(name, path)[0]:
            there = other.split(".")[0]
            assert here == there or level[there] < level[here], f"{name} imports {other}"


def test_what_some_packages_do_without() -> None:
    for name, path in modules():
        ours, others = imports_of(name, path)
        if name.startswith("net"):
            assert all(other.startswith("net") for other in ours), f"{name} imports {ours}"
            assert not {o for o in others if o.startswith("jupyter")}, f"{name}: Jupyter in net"
        if name.startswith("doctor"):
            allowed = {"doctor", "config", "exceptions", "redaction", "kernelspec_names"}
            assert {other.split(".")[0] for other in ours} <= allowed, f"{name} imports {ours}"
        if name != "app":
            assert "notebook" not in others, f"only app may import notebook, not {name}"


def test_no_circles() -> None:
    imports = {name: imports_of(name, path)[0] - {name} for name, path in modules()}
    while imports:
        leaves = {name for name, ours in imports.items() if not ours & set(imports)}
        assert leaves, f"these import each other: {sorted(imports)}"
        imports = {name: ours for name, ours in imports.items() if name not in leaves}


def test_folders_are_small_and_say_what_they_are_for() -> None:
    for init in PACKAGE.rglob("__init__.py"):
        files = [path for path in init.parent.glob("*.py") if not path.stem.startswith("__")]
        assert len(files) <= MOST_MODULES, f"{init.parent.name} has {len(files)} modules"
        assert ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))), init


def test_every_module_has_its_tests() -> None:
    names = {name for name, path in modules() if path.stem not in ("__init__", "_version", "types")}
    for name in names:
        folder, _, stem = name.rpartition(".")
        own = TESTS / folder.replace(".", "/") / f"test_{stem}.py"
        if name in TESTED_ELSEWHERE:
            assert not own.exists(), f"{name} has its own tests: drop it from the list"
            assert (TESTS / TESTED_ELSEWHERE[name]).exists(), TESTED_ELSEWHERE[name]
        else:
            assert own.exists(), f"no tests for {name}"
    assert set(TESTED_ELSEWHERE) <= names


def test_no_test_file_imports_another() -> None:
    for path in TESTS.rglob("test_*.py"):
        imported = re.findall(
            r"^from (\S+) import (.*)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert not [line for line in imported if "test_" in line[0].rpartition(".")[2]], path


def test_documents_have_a_row_for_each_package() -> None:
    packages = {
        path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("__init__.py")
    }
    for document in (TOP / "CONTRIBUTING.md", TOP / "docs" / "architecture.md"):
        text = document.read_text(encoding="utf-8")
        table = text.partition("| package |")[2].partition("\n\n")[0]
        rows = set(re.findall(r"^\| `([a-z_/]+)/` \|", table, re.MULTILINE))
        assert rows == packages - {"."}, document.name
