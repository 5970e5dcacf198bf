"""Gateways that users have added outlive the server, and their secrets do not reach the disk."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from types import ModuleType

import pytest

from notebook_remote.saved import SavedGateways

OPTIONS = {"url": "http://gpu:1", "mode": "direct", "auth_token": "s3cret"}


def saved(folder: Path) -> SavedGateways:
    return SavedGateways(folder, logging.getLogger())


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """A keyring in memory: the package's functions, which is all of it that is used."""
    entries: dict[tuple[str, str], str] = {}
    module = ModuleType("keyring")
    module.get_password = lambda service, user: entries.get((service, user))  # type: ignore[attr-defined]
    module.set_password = (  # type: ignore[attr-defined]
        lambda service, user, value: entries.__setitem__((service, user), value)
    )
    module.delete_password = lambda service, user: entries.pop((service, user))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    return entries


def test_without_a_keyring_a_secret_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert not saved(tmp_path).save("gpu", OPTIONS)
    (file,) = tmp_path.iterdir()
    assert "s3cret" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert saved(tmp_path).load() == {"gpu": {"url": "http://gpu:1", "mode": "direct"}}
    assert saved(tmp_path).save("cpu", {"url": "http://cpu:1"})
    assert set(saved(tmp_path).load()) == {"gpu", "cpu"}
    saved(tmp_path).remove("gpu")
    assert set(saved(tmp_path).load()) == {"cpu"}


def test_with_a_keyring_it_is(tmp_path: Path, keyring: dict[tuple[str, str], str]) -> None:
    assert saved(tmp_path).save("gpu", OPTIONS)
    assert "s3cret" not in (tmp_path / "gateways.json").read_text()
    assert saved(tmp_path).load() == {"gpu": OPTIONS}
    saved(tmp_path).remove("gpu")
    assert keyring == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"gpu": 1}', json.dumps("x")])
def test_a_file_that_cannot_be_read_is_left_alone(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gateways.json").write_text(text)
    assert saved(tmp_path).load() == {}
    assert "cannot be read" in caplog.text
