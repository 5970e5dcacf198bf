"""Our types of options accept the usual spellings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from traitlets import HasTraits, TraitError

from notebook_remote.config.traits import File, Flag, GatewaysByName, Text


class Options(HasTraits):
    flag = Flag(False)
    text = Text("")
    file = File("")
    gateways = GatewaysByName()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), ("Yes", True), (" on ", True), ("1", True), ("f", False), ("", False)],
)
def test_spellings_of_a_flag(value: Any, expected: bool) -> None:
    assert Options(flag=value).flag is expected


def test_another_spelling_is_an_error() -> None:
    with pytest.raises(TraitError, match="'maybe' is neither true nor false"):
        Options(flag="maybe")


def test_none_is_empty() -> None:
    assert Options(text=None).text == ""


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert Options(file="~/token").file == str(tmp_path / "token")


def test_a_gateway_without_a_name_is_an_error_that_shows_no_password() -> None:
    assert Options(gateways={"gpu": "http://host"}).gateways == {"gpu": "http://host"}
    with pytest.raises(TraitError, match="write --gateway=NAME=URL") as raised:
        Options(gateways=["https://ada:s3cret@host"])
    assert "s3cret" not in str(raised.value)
