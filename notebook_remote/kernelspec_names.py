"""Qualified names of kernelspecs: ``python3@gpu`` is the kernelspec python3 of the backend gpu.

With one backend the names are its own. With several, a name that more than one has is qualified, so
that none hides another. The page has the same rules in ``frontend/src/kernelspecNames.ts``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

SEPARATOR = "@"  # which is in no name that Jupyter takes


def split(name: str) -> tuple[str, str]:
    """The kernelspec's own name and its backend's, which is empty if the name is not qualified."""
    own, separator, backend = name.rpartition(SEPARATOR)
    return (own, backend) if separator else (name, "")


def qualify(name: str, backend: str) -> str:
    """The name of a kernelspec with its backend's."""
    return f"{name}{SEPARATOR}{backend}"


def unique_names(specs: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], str]:
    """Unique names for the kernelspecs of each backend, by (backend, own name)."""
    count = Counter(name for names in specs.values() for name in names)
    return {
        (backend, name): qualify(name, backend) if count[name] > 1 else name
        for backend, names in specs.items()
        for name in names
    }


def display_name(own: str, backend: str) -> str:
    """How people see the name of a kernelspec when there are several backends."""
    return f"{own} · {backend}"
