"""Gateways that users have added in the page: kept for the next server, without their secrets.

A secret goes into the system's keyring if the package ``keyring`` is there and works; else it lives
in this process only, and the user is asked for it after the next start.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
from pathlib import Path
from typing import Any

Options = dict[str, Any]

SERVICE = "notebook-remote"  # in the keyring; the user there is the gateway's URL
SECRETS = ("auth_token", "http_pwd")


class SavedGateways:
    """The file ``gateways.json`` of this user. Owned by the server app."""

    def __init__(self, folder: Path, log: logging.Logger) -> None:
        self._path = folder / "gateways.json"
        self._log = log

    def load(self) -> dict[str, Options]:
        """The options of each by its name. What cannot be read is logged and left alone."""
        found = self._read()
        for options in found.values():
            for secret in SECRETS:
                value = _from_keyring(_entry(options, secret))
                if value:
                    options[secret] = value
        return found

    def save(self, name: str, options: Options) -> bool:
        """Keep one for later servers. Returns whether its secrets are kept as well."""
        secrets = {key: options[key] for key in SECRETS if options.get(key)}
        plain = {key: value for key, value in options.items() if key not in SECRETS}
        self._write({**self._read(), name: plain})
        kept = [_to_keyring(_entry(plain, key), value) for key, value in secrets.items()]
        return all(kept)

    def remove(self, name: str) -> None:
        """Keep one no longer."""
        found = self._read()
        options = found.pop(name, None)
        if options is not None:
            self._write(found)
            for secret in SECRETS:
                _to_keyring(_entry(options, secret), None)

    def _read(self) -> dict[str, Options]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if not isinstance(found, dict) or not all(isinstance(o, dict) for o in found.values()):
                raise ValueError("not an object of objects")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self._log.warning("The gateways in %s cannot be read: %s", self._path, error)
            return {}
        return found

    def _write(self, gateways: dict[str, Options]) -> None:
        """Write all of it or nothing: another server may read it at this moment."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(gateways, indent=2), encoding="utf-8")
        new.chmod(0o600)
        new.replace(self._path)


def _entry(options: Options, secret: str) -> str:
    return f"{options.get('url', '')} {secret}"


def _keyring() -> Any:
    """The package, or None."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("keyring")
    return None


def _from_keyring(entry: str) -> str | None:
    # Whatever is wrong with the system's keyring, and backends differ: the user is asked instead.
    with contextlib.suppress(Exception):
        found: str | None = _keyring().get_password(SERVICE, entry)
        return found
    return None


def _to_keyring(entry: str, value: str | None) -> bool:
    with contextlib.suppress(Exception):
        if value is None:
            _keyring().delete_password(SERVICE, entry)
        else:
            _keyring().set_password(SERVICE, entry, value)
        return True
    return False
