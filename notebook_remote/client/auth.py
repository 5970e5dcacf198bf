"""Authentication at a gateway: request headers, and tokens that may change while we run."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from jupyter_server.gateway.gateway_client import NoOpTokenRenewer

from ..concurrency import run_in_daemon_thread
from ..config.gateway import Gateway
from ..exceptions import GatewayAuthError

KEYRING_TIMEOUT = 5.0  # seconds that the first request waits for the system's keyring


@dataclass
class Credentials:
    """The current credentials for a gateway, at first those of the options of the same names.

    Later ones come from a user who enters them in the page, a token file, or a token renewer.
    """

    auth_token: str
    auth_scheme: str
    http_user: str
    http_pwd: str

    @classmethod
    def configured(cls, config: Gateway) -> Credentials:
        """The credentials of the configuration."""
        return cls(**{field.name: getattr(config, field.name) or "" for field in fields(cls)})


class GatewayAuth:
    """Authenticates requests to one gateway. Owned by its connection."""

    def __init__(self, config: Gateway) -> None:
        self.config = config
        self.credentials = Credentials.configured(config)
        self._load_stored = config.stored_credentials  # until it was called
        self._renewer = config.gateway_token_renewer_class(parent=config, log=config.log)
        self._renewal_lock = asyncio.Lock()
        self._stored_future: asyncio.Future[Mapping[str, str]] | None = None
        self._token_is_from_page = False  # whether a user entered it
        self._file_text: str | None = None  # of auth_token_file, when it was last read

    async def headers(self) -> dict[str, str]:
        """Headers for a request or a handshake: the configured ones, and those that authenticate.

        In the same header, a token replaces the value of ``Gateway.headers``, and basic
        authentication replaces a token, as in jupyter_server's client.
        """
        await self._use_stored_credentials()
        headers = self.config.extra_headers
        token = await self._token()
        credentials = self.credentials
        if token:
            scheme = credentials.auth_scheme.strip()
            value = f"{scheme} {token}" if scheme and scheme.lower() != "none" else token
            _set(headers, self.config.auth_header_key, value)
        if credentials.http_user:
            pair = f"{credentials.http_user}:{credentials.http_pwd}".encode()
            _set(headers, "Authorization", "Basic " + base64.b64encode(pair).decode())
        for name, text in headers.items():
            if not (text.isascii() and name.isascii() and f"{name}{text}".isprintable()):
                raise GatewayAuthError(
                    f"The header {name!r} for the gateway contains a line break or a letter that"
                    " has no place in a header: correct the token, or Gateway.headers."
                )
        return headers

    async def _use_stored_credentials(self) -> None:
        """Use the credentials that an earlier server stored in the system's keyring.

        The keyring may wait for its user to unlock it. Only the first request waits for that, for
        KEYRING_TIMEOUT; later requests use the credentials once they are there.
        """
        load = self._load_stored
        if load is None:
            return
        first = self._stored_future is None
        if self._stored_future is None:
            self._stored_future = run_in_daemon_thread(load, "read the keyring")
        await asyncio.wait([self._stored_future], timeout=KEYRING_TIMEOUT if first else 0)
        if self._stored_future.done():
            self._load_stored = None
            for option, value in self._stored_future.result().items():
                if not getattr(self.credentials, option):
                    setattr(self.credentials, option, value)
        elif first:
            self.config.log.warning(
                "The system's keyring does not give the token of the gateway %r: unlock it, or"
                " enter the token in the page, in Settings > Gateways.",
                self.config.name,
            )

    async def set_credentials(self, options: Mapping[str, str]) -> None:
        """Use credentials that a user entered; a token until auth_token_file changes."""
        if "auth_token" in options:
            with contextlib.suppress(GatewayAuthError):
                self._file_text = await self._read_file()
            self._token_is_from_page = True
        for option, value in options.items():
            setattr(self.credentials, option, value)

    async def _read_file(self) -> str:
        path = self.config.auth_token_file
        try:
            # In a thread, since it may be on a slow network drive.
            text: str = await asyncio.to_thread(Path(path).read_text, "utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise GatewayAuthError(
                f"The gateway's token cannot be read from {path}"
                f" ({type(error).__name__}): correct --gateway-token-file or the file."
            ) from None
        return text

    def current_options(self) -> dict[str, str]:
        """The options of Gateway that have the credentials of the moment.

        A token that a user has entered replaces the token file, as long as that does not change.
        """
        file = {"auth_token_file": ""} if self._token_is_from_page else {}
        return {**asdict(self.credentials), **file}

    async def _token(self) -> str:
        config = self.config
        if config.auth_token_file:
            # Read each time, since whoever renews the token does not notify us.
            try:
                text = await self._read_file()
            except GatewayAuthError:
                if not self._token_is_from_page:
                    raise
            else:
                if text != self._file_text:
                    self._file_text, self._token_is_from_page = text, False
                    self.credentials.auth_token = text.strip()
        if not isinstance(self._renewer, NoOpTokenRenewer):
            await self._renew()
        return self.credentials.auth_token.strip()

    async def _renew(self) -> None:
        """Call the configured renewer; in a thread, since it may wait for an identity provider."""
        config = self.config
        async with self._renewal_lock:
            try:
                token = await asyncio.to_thread(
                    self._renewer.get_token,
                    config.auth_header_key,
                    self.credentials.auth_scheme,
                    self.credentials.auth_token,
                )
                self.credentials.auth_token = str(token or "")
            except Exception as error:  # noqa: BLE001 - third-party code; the old token may work
                config.log.error(
                    "The gateway's token could not be renewed by %s (%s); using the one we have.",
                    type(self._renewer).__name__,
                    type(error).__name__,
                )


def _set(headers: dict[str, str], name: str, value: str) -> None:
    """Set a header, replacing one whose name differs only in case."""
    for old in [key for key in headers if key.lower() == name.lower()]:
        del headers[old]
    headers[name] = value
