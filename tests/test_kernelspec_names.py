"""Qualified names of kernelspecs."""

from __future__ import annotations

import pytest

from notebook_remote.kernelspec_names import display_name, qualify, split, unique_names


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("python3", ("python3", "")),
        ("python3@gpu", ("python3", "gpu")),
        ("a@b@gpu", ("a@b", "gpu")),
        ("python3@", ("python3", "")),
        ("@gpu", ("", "gpu")),
        ("", ("", "")),
    ],
)
def test_a_name_is_split_at_its_last_separator(name: str, parts: tuple[str, str]) -> None:
    assert split(name) == parts


def test_what_was_qualified_is_split_again() -> None:
    assert split(qualify("ir", "my-box")) == ("ir", "my-box")


def test_only_names_that_several_backends_have_are_qualified() -> None:
    specs = {"gpu": ["python3", "ir"], "cpu": ["python3"]}
    assert unique_names(specs) == {
        ("gpu", "python3"): "python3@gpu",
        ("gpu", "ir"): "ir",
        ("cpu", "python3"): "python3@cpu",
    }


def test_people_see_the_backends_label() -> None:
    assert display_name("Python 3", "This computer") == "Python 3 · This computer"
