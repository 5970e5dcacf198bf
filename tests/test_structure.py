"""The rooms of the package: imports point one way, and every room has its tests."""

from __future__ import annotations

import ast
from pathlib import Path

import notebook_remote

PACKAGE = Path(notebook_remote.__file__).parent
TESTS = Path(__file__).parent
# Each room may import from the rooms before it.
ORDER = [
    "_version",
    "exceptions",
    "masking",
    "signals",
    "environment",
    "addresses",
    "config",
    "configured",
    "doctor_findings",
    "doctor_wire",
    "doctor_channels",
    "doctor_reach",
    "doctor_gateway",
    "doctor_kernel",
    "doctor_messages",
    "doctor_embedded",
    "doctor",
    "doctor_app",
    "shared",
    "auth",
    "saved",
    "gateway_models",
    "tunnel",
    "records",
    "schemes",
    "client",
    "frames",
    "sockets",
    "pace",
    "relay",
    "messages",
    "metrics",
    "links",
    "handshakes",
    "store_file",
    "store_writer",
    "store",
    "kernels_app",
    "gateways",
    "kernel",
    "kernels",
    "kernelspecs",
    "reported",
    "backends",
    "choosing",
    "routing",
    "sessions",
    "notebook_locks",
    "documents",
    "channels",
    "kernel_messages",
    "kernel_link",
    "headless_kernel",
    "background",
    "headless_client",
    "headless",
    "papermill_engine",
    "notebook_file",
    "run_notebook",
    "run_app",
    "places",
    "handlers",
    "local_channels",
    "local_kernels",
    "lease",
    "request_log",
    "server_clients",
    "embedded_app",
    "embedded",
    "assembly",
    "backend_handlers",
    "app",
    "__main__",
    "patching",
]
DOCTOR = [room for room in ORDER if room.startswith("doctor_")]
# Tested by the tests of another room, which say so.
TESTED_WITH = {
    "kernel": "kernels",
    "configured": "doctor",
    **dict.fromkeys(
        (
            "background",
            "choosing",
            "headless_client",
            "headless_kernel",
            "kernel_link",
            "kernel_messages",
            "papermill_engine",
        ),
        "headless",
    ),
    "run_notebook": "run_app",
    "notebook_file": "run_app",
    "gateways": "errors",
    "assembly": "backends",
    "documents": "backends",
    "notebook_locks": "contents",
    "server_clients": "server_extensions",
    "request_log": "errors",
    "routing": "backends",
    "metrics": "links",
    "sockets": "relay",
    "embedded_app": "embedded",
    "local_kernels": "stops",
    "__main__": "app",
    "store_file": "store",
    "store_writer": "store",
    **dict.fromkeys(DOCTOR, "doctor"),
}


def imports_of(path: Path) -> tuple[set[str], set[str]]:
    ours, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            ours |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            others.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
    return ours, others


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"]


def test_every_room_is_in_the_order() -> None:
    assert sorted(path.stem for path in modules()) == sorted(ORDER)


def test_imports_point_one_way() -> None:
    for path in modules():
        ours, others = imports_of(path)
        allowed = set(ORDER[: ORDER.index(path.stem)])
        assert ours <= allowed, f"{path.stem} imports {ours - allowed}"
        if path.stem != "app":
            assert "notebook" not in others, f"only app may import notebook, not {path.stem}"
        if path.stem.startswith("doctor"):
            rest = {room for room in ours if not room.startswith("doctor")}
            assert rest <= {"_version", "config", "configured", "exceptions", "masking"}, (
                "a second opinion"
            )
        if path.stem == "relay":
            assert not {o for o in others if o.startswith("jupyter")}, "no Jupyter in the relay"


def test_every_room_has_its_tests() -> None:
    for path in modules():
        if path.stem == "_version":
            continue
        stem = TESTED_WITH.get(path.stem, path.stem)
        assert (TESTS / f"test_{stem}.py").exists(), f"no test_{stem}.py for {path.stem}"
