"""Gateways that users have added outlive the server, and their secrets do not reach the disk."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from traitlets.config import Config

from notebook_remote.config.named import Gateways
from notebook_remote.storage.saved_gateways import SavedGateways, SaveResult

OPTIONS = {"url": "http://gpu:1", "mode": "direct", "auth_token": "s3cret"}


def saved(folder: Path) -> SavedGateways:
    return SavedGateways(folder, logging.getLogger())


class Memory(KeyringBackend):
    """A keyring that forgets everything with the process."""

    priority = 1.0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


@pytest.fixture
def memory() -> Iterator[Memory]:
    """The system's keyring, for the time of a test."""
    before = keyring.get_keyring()
    memory = Memory()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


PLAIN = {"url": "http://gpu:1", "mode": "direct"}


def test_without_a_keyring_a_secret_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert saved(tmp_path).save("gpu", OPTIONS) == SaveResult(options=True, secrets=False)
    (file,) = tmp_path.iterdir()
    assert "s3cret" not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert saved(tmp_path).load() == {"gpu": PLAIN}
    assert saved(tmp_path).credentials(PLAIN) == {}
    assert saved(tmp_path).save("cpu", {"url": "http://cpu:1"}).secrets
    assert set(saved(tmp_path).load()) == {"gpu", "cpu"}
    assert saved(tmp_path).remove("gpu")
    assert set(saved(tmp_path).load()) == {"cpu"}


def test_with_a_keyring_it_is(tmp_path: Path, memory: Memory) -> None:
    assert saved(tmp_path).save("gpu", OPTIONS).secrets
    assert "s3cret" not in (tmp_path / "gateways.json").read_text()
    assert saved(tmp_path).load() == {"gpu": PLAIN}
    assert saved(tmp_path).credentials(PLAIN) == {"auth_token": "s3cret"}
    saved(tmp_path).remove("gpu")
    assert memory.entries == {}


@pytest.mark.parametrize("url", ["http://gpu:1/?token=s3cret", "http://ada:s3cret@gpu:1"])
def test_a_secret_in_a_url_is_kept_as_one(tmp_path: Path, memory: Memory, url: str) -> None:
    saved(tmp_path).save("gpu", {"url": url})
    file = tmp_path / "gateways.json"
    assert "s3cret" not in file.read_text()
    assert list(memory.entries.values()) == ["s3cret"]
    file.write_text(json.dumps({"gpu": {"url": url}}))  # as earlier versions did
    loaded = saved(tmp_path).load()["gpu"]
    assert (loaded["url"], "s3cret" in file.read_text()) == ("http://gpu:1", False)


def test_what_cannot_be_saved_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    assert not saved(tmp_path / "file").save("gpu", {"url": "http://gpu:1"}).options
    assert "cannot be saved" in caplog.text


@pytest.mark.parametrize(
    "text",
    ['{"kept": {"url": "http://k:1"}, "v2": ["newer"]}', "{", json.dumps("x"), "[" * 100_000],
)
def test_a_file_that_cannot_be_used_is_not_overwritten(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gateways.json").write_text(text)
    assert saved(tmp_path).save("gpu", {"url": "http://gpu:1"}).options
    (aside,) = tmp_path.glob("gateways.unreadable-*")
    assert (aside.read_text(), aside.name in caplog.text) == (text, True)
    found = set(saved(tmp_path).load())
    assert found == ({"gpu", "kept"} if "kept" in text else {"gpu"})


@pytest.mark.parametrize(
    "options",
    [{"headers": "[" * 100_000}, {"proxy": "http://["}, {"ca_certs": __file__}, {"url": 5}, {}],
    ids=["headers", "proxy", "ca_certs", "url", "nothing"],
)
def test_one_that_cannot_be_used_is_left_out(
    tmp_path: Path, options: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    good = {"url": "http://good:1"}
    content = {"bad": {"url": "http://bad:1", **options} if options else {}, "good": good}
    (tmp_path / "gateways.json").write_text(json.dumps(content))
    found = saved(tmp_path).gateways(Gateways(config=Config()), ())
    assert [config.name for config, _ in found] == ["good"]
    assert "The gateway bad that was added in a page" in caplog.text


@pytest.mark.parametrize("text", ["{", "[]", '{"gpu": 1}', json.dumps("x")])
def test_a_file_that_cannot_be_read_is_left_alone(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gateways.json").write_text(text)
    assert saved(tmp_path).load() == {}
    assert "cannot be read" in caplog.text
