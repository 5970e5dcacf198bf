"""Qualified names of kernelspecs: ``python3@gpu`` is the kernelspec python3 of the backend gpu.

A name that several backends have is qualified, so that no kernelspec hides another. A name that
only one backend has stays as it is. ``frontend/src/kernelspecNames.ts`` has the same rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

SEPARATOR = "@"  # Jupyter allows it in no kernelspec's name


def split(name: str) -> tuple[str, str]:
    """The kernelspec's own name and the backend's name, empty if ``name`` is not qualified."""
    own, separator, backend = name.rpartition(SEPARATOR)
    return (own, backend) if separator else (name, "")


def qualify(name: str, backend: str) -> str:
    """The qualified name of a kernelspec: ``python3@gpu``."""
    return f"{name}{SEPARATOR}{backend}"


def unique_names(specs: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
    """Unique names for the kernelspecs of each backend, by (backend, own name)."""
    count = Counter(name for names in specs.values() for name in names)
    return {
        (backend, name): qualify(name, backend) if count[name] > 1 else name
        for backend, names in specs.items()
        for name in names
    }


def display_name(name: str, backend: str) -> str:
    """The display name of a kernelspec when there are several backends: ``Python 3 · gpu``."""
    return f"{name} · {backend}"
