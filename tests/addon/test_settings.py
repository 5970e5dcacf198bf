"""Settings from environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from notebook_remote_gateway.exceptions import SettingsError
from notebook_remote_gateway.settings import Settings


def test_the_key_is_random_unless_it_is_set() -> None:
    assert Settings.from_environment({}).key != Settings.from_environment({}).key
    assert len(Settings.from_environment({}).key) == 32
    assert "k" * 32 not in repr(Settings.from_environment({"NOTEBOOK_REMOTE_TICKET_KEY": "k" * 32}))


def test_kernels_do_not_inherit_the_key() -> None:
    environ = {"NOTEBOOK_REMOTE_TICKET_KEY": "k" * 32, "PATH": "/bin"}
    assert Settings.from_environment(environ).key == b"k" * 32
    assert environ == {"PATH": "/bin"}


def test_a_key_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"f" * 40 + b"\n")
    assert (
        Settings.from_environment({"NOTEBOOK_REMOTE_TICKET_KEY_FILE": str(file)}).key == b"f" * 40
    )


def test_the_other_settings() -> None:
    settings = Settings.from_environment(
        {
            "NOTEBOOK_REMOTE_TICKET_LIFETIME": "30",
            "NOTEBOOK_REMOTE_TICKET_RATE": "0.5",
            "NOTEBOOK_REMOTE_TICKET_BURST": "3",
        }
    )
    assert (settings.lifetime, settings.rate, settings.burst) == (30, 0.5, 3)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"NOTEBOOK_REMOTE_TICKET_KEY": "short"}, "at least 32 are needed"),
        ({"NOTEBOOK_REMOTE_TICKET_KEY_FILE": "/no/such/file"}, "No such file"),
        (
            {
                "NOTEBOOK_REMOTE_TICKET_KEY": "k" * 32,
                "NOTEBOOK_REMOTE_TICKET_KEY_FILE": "/dev/null",
            },
            "set one of them",
        ),
        ({"NOTEBOOK_REMOTE_TICKET_KEY_FILE": "/dev/null"}, "0 bytes is too short"),
        ({"NOTEBOOK_REMOTE_TICKET_LIFETIME": "0"}, "not a number from 1 to 600"),
        ({"NOTEBOOK_REMOTE_TICKET_RATE": "fast"}, "not a number from"),
        ({"NOTEBOOK_REMOTE_TICKET_BURST": "nan"}, "not a number from"),
    ],
)
def test_an_invalid_setting_is_explained(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message) as error:
        Settings.from_environment(environ)
    assert "k" * 32 not in str(error.value)


@pytest.mark.parametrize(
    "origins", ["*", "https://a.example/", "a.example", "https://a.example:443"]
)
def test_an_invalid_allowed_origin_is_explained(origins: str) -> None:
    with pytest.raises(SettingsError, match="is not an origin"):
        Settings.from_environment(
            {"NOTEBOOK_REMOTE_ALLOWED_ORIGINS": f"https://b.example,{origins}"}
        )
