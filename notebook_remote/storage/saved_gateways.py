"""Stores the gateways that users add in the page, for later servers; secrets go into the keyring.

Without a working system keyring (the package ``keyring``), secrets stay in this process only, and
the user is asked again after the next start. A keyring may wait for the user to unlock it, so it is
read when a gateway is first used, and nothing else waits for that.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import logging
import os
import shutil
import time
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from traitlets import TraitError

from ..config.gateway import Gateway
from ..config.named import Gateways
from ..config.tls import ssl_context
from ..net.urls import split_credentials

Options = dict[str, Any]
SERVICE = "notebook-remote"  # in the keyring; the user name there has the gateway's URL
SECRETS = ("auth_token", "http_pwd")


@dataclass(frozen=True)
class SaveResult:
    """Which parts of a gateway were stored."""

    options: bool
    secrets: bool


class SavedGateways:
    """The file ``gateways.json`` of this user. Owned by the server app."""

    def __init__(self, folder: Path, log: logging.Logger) -> None:
        self._path = folder / "gateways.json"
        self._log = log

    def gateways(self, gateways: Gateways, known: Container[str]) -> list[tuple[Gateway, Options]]:
        """The stored gateways with their options, except for names in ``known``.

        An unusable one is left out, with a warning.
        """
        found = []
        for name, options in self.load().items():
            if name in known:
                continue
            try:
                config = gateways.make_for_page(name, options)
                ssl_context(config)
            except (TraitError, ValueError, RecursionError) as error:
                self._log.warning("The gateway %s that was added in a page: %s", name, error)
                continue
            if config.from_page:
                config.stored_credentials = functools.partial(self.credentials, options)
            found.append((config, options))
        return found

    def load(self) -> dict[str, Options]:
        """The options of each gateway by its name, without secrets: see ``credentials``.

        Unreadable entries are logged, and stay in the file.
        """
        found = {name: _with_plain_url(options) for name, options in self._read().items()}
        for name, options in found.items():
            if any(options.get(secret) for secret in SECRETS):
                self.save(name, options)  # an older version stored URLs with credentials
        return found

    def credentials(self, options: Options) -> Mapping[str, str]:
        """A gateway's secrets from the keyring; may wait for the user to unlock it."""
        found = {secret: self._from_keyring(_entry(options, secret)) for secret in SECRETS}
        return {secret: value for secret, value in found.items() if value}

    def save(self, name: str, options: Options) -> SaveResult:
        """Store a gateway for later servers."""
        options = _with_plain_url(options)
        secrets = {key: options[key] for key in SECRETS if options.get(key)}
        plain = {key: value for key, value in options.items() if key not in SECRETS}
        if not self._back_up_unreadable() or not self._write({**self._read(), name: plain}):
            return SaveResult(options=False, secrets=False)
        stored = [self._to_keyring(_entry(plain, key), value) for key, value in secrets.items()]
        return SaveResult(options=True, secrets=all(stored))

    def remove(self, name: str) -> bool:
        """Delete a stored gateway. Returns False if that failed: later servers will have it."""
        found = self._read()
        options = found.pop(name, None)
        if options is None:
            return True
        if not self._back_up_unreadable():
            return False
        for secret in SECRETS:
            self._to_keyring(_entry(options, secret), None)
        return self._write(found)

    def _read(self) -> dict[str, Options]:
        """The usable entries of the file; others are logged."""
        try:
            found = self._parsed()
        except (OSError, ValueError, RecursionError) as error:
            self._log.warning("The gateways in %s cannot be read: %s", self._path, error)
            return {}
        usable = {name: options for name, options in found.items() if isinstance(options, dict)}
        for name in found.keys() - usable.keys():
            self._log.warning("The gateway %s in %s cannot be read.", name, self._path)
        return usable

    def _parsed(self) -> dict[str, Any]:
        """The file's content. Raises OSError, ValueError, RecursionError."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        if not isinstance(found, dict):
            raise ValueError("not an object")
        return found

    def _back_up_unreadable(self) -> bool:
        """Copy a file with unreadable entries, before it is overwritten.

        It may be from a later version, or damaged. Returns False if the copy failed; then it must
        not be overwritten.
        """
        try:
            is_readable = all(isinstance(options, dict) for options in self._parsed().values())
        except (OSError, ValueError, RecursionError):
            is_readable = False
        if is_readable:
            return True
        copy = self._path.with_suffix(f".unreadable-{time.time_ns()}")
        try:
            shutil.copyfile(self._path, copy)
            copy.chmod(0o600)
        except OSError as error:
            self._log.warning(
                "The list of gateways that were added cannot be saved: %s can neither be read nor"
                " copied (%s).",
                self._path,
                error.strerror,
            )
            return False
        self._log.warning(
            "%s has unreadable entries and is rewritten; there is a copy in %s.", self._path, copy
        )
        return True

    def _write(self, gateways: dict[str, Options]) -> bool:
        """Replace the file atomically, since another server may be reading it."""
        new = self._path.with_suffix(f".{os.getpid()}")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.write_text(json.dumps(gateways, indent=2), encoding="utf-8")
            new.chmod(0o600)
            new.replace(self._path)
        except OSError as error:
            self._log.warning(
                "The list of gateways that were added cannot be saved in %s (%s): the next server"
                " has it as it was.",
                self._path,
                error.strerror,
            )
            with contextlib.suppress(OSError):
                new.unlink()
            return False
        return True

    def _from_keyring(self, entry: str) -> str | None:
        try:
            found: str | None = importlib.import_module("keyring").get_password(SERVICE, entry)
        except ImportError:
            return None
        except Exception as error:  # noqa: BLE001 - the backends of keyring raise anything
            self._log.warning("The system's keyring cannot be read (%s).", type(error).__name__)
            return None
        return found

    def _to_keyring(self, entry: str, value: str | None) -> bool:
        """Store a value, or delete it if None; returns whether that succeeded."""
        try:
            keyring = importlib.import_module("keyring")
            if value is None:
                keyring.delete_password(SERVICE, entry)
            else:
                keyring.set_password(SERVICE, entry, value)
        except Exception as error:  # noqa: BLE001 - as above; the user will be asked
            self._log.debug("The system's keyring was not changed (%s).", type(error).__name__)
            return False
        return True


def _with_plain_url(options: Options) -> Options:
    """The options, with credentials in the URL moved to options of their own."""
    url = options.get("url")
    if not isinstance(url, str):
        return options
    try:
        plain, found = split_credentials(url)
    except ValueError:  # not a URL; reported when it is used
        return options
    return {**found, **options, "url": plain}


def _entry(options: Options, secret: str) -> str:
    return f"{options.get('url', '')} {secret}"
