"""Qualified names of kernelspecs, such as ``python3@gpu``: of a backend among several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping


def told_apart(name: str, backend: str) -> str:
    """The name of a kernelspec that more than one backend has. Jupyter's own have no ``@``."""
    return f"{name}@{backend}"


def public_names(specs: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
    """Unique names for the kernelspecs of each backend, by (backend, own name)."""
    count = Counter(name for names in specs.values() for name in names)
    return {
        (backend, name): told_apart(name, backend) if count[name] > 1 else name
        for backend, names in specs.items()
        for name in names
    }


def display_name(own: str, backend: str) -> str:
    """How people see the name of a kernelspec when there are several backends."""
    return f"{own} · {backend}"
