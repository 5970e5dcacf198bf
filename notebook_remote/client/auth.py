"""What proves us to a gateway: headers, token renewal, TLS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Mapping
from pathlib import Path

from jupyter_server.gateway.gateway_client import NoOpTokenRenewer

from ..concurrency import in_daemon_thread
from ..config.gateway import Gateway
from ..exceptions import GatewayAuthError

KEYRING_TIMEOUT = 5.0  # seconds that the first request waits for the system's keyring


class GatewayAuth:
    """The credentials for one gateway. Owned by its client, which asks before each request."""

    def __init__(self, config: Gateway) -> None:
        self.config = config
        self._renewer = config.gateway_token_renewer_class(parent=config, log=config.log)
        self._renewing = asyncio.Lock()
        self._reading: asyncio.Future[Mapping[str, str]] | None = None
        self._entered = False  # whether the token is one that a user has entered in the page
        self._file_text: str | None = None  # of auth_token_file, when it was last read

    async def headers(self) -> dict[str, str]:
        """Headers for a request or a handshake: the configured ones and the proof of who we are.

        A token wins over an equal header from ``Gateway.headers``, and basic authentication over
        a token in the same header, as in jupyter_server's client.
        """
        config = self.config
        await self._take_stored_credentials()
        headers = config.extra_headers
        token = await self._token()
        if token:
            scheme = (config.auth_scheme or "").strip()
            value = f"{scheme} {token}" if scheme and scheme.lower() != "none" else token
            _set(headers, config.auth_header_key, value)
        if config.http_user:
            pair = f"{config.http_user}:{config.http_pwd or ''}".encode()
            _set(headers, "Authorization", "Basic " + base64.b64encode(pair).decode())
        for name, text in headers.items():
            if not (text.isascii() and name.isascii() and f"{name}{text}".isprintable()):
                raise GatewayAuthError(
                    f"The header {name!r} for the gateway contains a line break or a letter that"
                    " has no place in a header: correct the token, or Gateway.headers."
                )
        return headers

    async def _take_stored_credentials(self) -> None:
        """Take what an earlier server kept in the system's keyring.

        The keyring may wait for its user to unlock it: then only this gateway waits, and not for
        long; what comes later is used from then on.
        """
        read = self.config.stored_credentials
        if read is None:
            return
        first = self._reading is None
        if self._reading is None:
            self._reading = in_daemon_thread(read, "read the keyring")
        await asyncio.wait([self._reading], timeout=KEYRING_TIMEOUT if first else 0)
        if self._reading.done():
            self.config.stored_credentials = None
            for option, value in self._reading.result().items():
                if not getattr(self.config, option):
                    setattr(self.config, option, value)
        elif first:
            self.config.log.warning(
                "The system's keyring does not give the token of the gateway %r: unlock it, or"
                " enter the token in the page, in Settings > Gateways.",
                self.config.name,
            )

    async def enter_token(self, token: str) -> None:
        """Use a token that a user has entered in the page, until auth_token_file changes."""
        with contextlib.suppress(GatewayAuthError):
            self._file_text = await self._read_file()
        self._entered = True
        self.config.auth_token = token

    async def _read_file(self) -> str:
        path = self.config.auth_token_file
        try:
            # In a thread: it may be on a slow network drive.
            text: str = await asyncio.to_thread(Path(path).read_text, "utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise GatewayAuthError(
                f"The gateway's token cannot be read from {path}"
                f" ({type(error).__name__}): correct --gateway-token-file or the file."
            ) from None
        return text

    async def _token(self) -> str:
        config = self.config
        if config.auth_token_file:
            # Read anew each time, because whoever renews it does not tell us.
            try:
                text = await self._read_file()
            except GatewayAuthError:
                if not self._entered:
                    raise
            else:
                if text != self._file_text:
                    self._file_text, self._entered = text, False
                    config.auth_token = text.strip()
        if not isinstance(self._renewer, NoOpTokenRenewer):
            await self._renew()
        return str(config.auth_token or "").strip()

    async def _renew(self) -> None:
        """Ask the user's renewer, in a thread because it may talk to an identity provider."""
        config = self.config
        async with self._renewing:
            try:
                config.auth_token = await asyncio.to_thread(
                    self._renewer.get_token,
                    config.auth_header_key,
                    config.auth_scheme,
                    config.auth_token,
                )
            except Exception as error:  # noqa: BLE001 - other people's code; the old token may do
                config.log.error(
                    "The gateway's token could not be renewed by %s (%s); using the one we have.",
                    type(self._renewer).__name__,
                    type(error).__name__,
                )


def _set(headers: dict[str, str], name: str, value: str) -> None:
    """Set a header whatever the case of one that is there already."""
    for old in [key for key in headers if key.lower() == name.lower()]:
        del headers[old]
    headers[name] = value
