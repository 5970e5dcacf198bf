"""Starts, finds, monitors and stops the embedded gateway, for a notebook server.

The gateway is a process of its own (``server``), so that kernels outlive a notebook server that
crashes. A running one is found by its server info file, of jupyter_server's format (URL, token,
process id, root directory; readable by the user only), in the Jupyter runtime directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx
from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server.utils import check_pid
from tornado.httpclient import HTTPError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from ..concurrency import backoff
from ..config.gateway import Gateway
from ..exceptions import GatewayUnreachable
from ..kernel_environment import for_embedded_gateway
from ..net.host import this_computer
from ..redaction import without_secrets
from ..types import JsonObject
from . import lease

KEY_PREFIX = "embedded-"
START_TIMEOUT = 60.0  # seconds; a cold disk can take long
STOP_TIMEOUT = 3.0  # seconds, so that the notebook server stops within 5
POLL_INTERVAL = 0.05  # seconds
RESTART_DELAY = 2.0  # seconds before a gateway that died is started again, doubled each time
MAX_RESTART_DELAY = 60.0  # seconds
LOG_TAIL = 15  # last lines of its log, logged when it does not start


class EmbeddedGateway:
    """Keeps one embedded gateway running for this notebook server."""

    def __init__(
        self,
        config: Gateway,
        root_dir: str,
        kernel_config: JsonObject,
    ) -> None:
        self.config = config
        self.log: logging.Logger = config.log
        self.root_dir = str(Path(root_dir).resolve())
        self.kernel_config = kernel_config
        # A gateway of another Python environment has other kernels.
        key = hashlib.sha256(f"{self.root_dir}\0{sys.prefix}".encode()).hexdigest()[:12]
        self.folder = Path(jupyter_runtime_dir()) / "notebook-remote"
        self.prefix = f"{KEY_PREFIX}{key}-"
        # Servers on the same directory may have other runtime folders, or run on other computers.
        place = f"{this_computer()[0]}\0{self.folder.resolve()}"
        self.suffix = f"-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._info: JsonObject = {}
        self._lease: WebSocketClientConnection | None = None
        self._monitor: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._error: GatewayUnreachable | None = None
        self._stopping = False
        self._stopped: asyncio.Task[None] | None = None

    def is_gone(self, key: str) -> bool:
        """Whether a key in the session store is that of an embedded gateway that has stopped.

        False if its info file would not be in our folder.
        """
        path = self.folder / f"{key}.json"
        is_in_folder = key.startswith(KEY_PREFIX) and key.endswith(self.suffix)
        return is_in_folder and (not path.exists() or _is_dead(_read_info(path)))

    async def ready(self) -> None:
        """Wait until the gateway is ready. Raises GatewayUnreachable if it does not start."""
        while not self._ready.is_set():
            if self._error is not None:
                raise self._error
            if self._monitor is not None and self._monitor.done():
                raise GatewayUnreachable("The embedded gateway is stopped with this server.")
            await asyncio.sleep(POLL_INTERVAL)

    def start(
        self,
        on_address: Callable[[str, str], None],
        on_searched: Callable[[], Awaitable[None]],
        on_used: Callable[[str], Awaitable[None]],
        on_found: Callable[[list[JsonObject]], None],
    ) -> None:
        """Find or start the gateway, and keep it running; called when the event loop runs.

        ``on_searched`` is awaited after the search for a running gateway. ``on_address`` gets URL
        and token each time that one was found or started, and then ``on_used`` its key in the
        session store. ``on_found`` gets the models of the kernels on a gateway of an earlier
        notebook server.
        """
        self._on_address = on_address
        self._on_searched = on_searched
        self._on_used = on_used
        self._on_found = on_found
        self._monitor = asyncio.create_task(self._run_monitor(), name="keep the embedded gateway")

    async def stop(self) -> None:
        """Stop it with its kernels, within STOP_TIMEOUT seconds; a second call waits as well."""
        if self._stopped is None:
            self._stopped = asyncio.create_task(self._stop(), name="stop the embedded gateway")
        await asyncio.shield(self._stopped)

    async def detach(self) -> None:
        """Release it without stopping it: the next notebook server finds it, with its kernels."""
        await self._stop_monitor()
        self._release()

    async def _stop_monitor(self) -> None:
        self._stopping = True
        if self._monitor is not None:
            self._monitor.cancel()
            await asyncio.gather(self._monitor, return_exceptions=True)

    async def _stop(self) -> None:
        await self._stop_monitor()
        info, self._info = self._info, {}
        if info:
            await self._shut_down(info)
        elif self._process is not None and self._process.poll() is None:
            self._process.kill()  # it was still starting, so it has no kernels
        if self._lease is not None:
            self._lease.close()
        self._remove_stale_files()

    def _remove_stale_files(self) -> None:
        """Remove files of stopped gateways from the folder, except those of a starting one."""
        for path in self.folder.glob(f"{self.prefix}*"):
            creator = int(path.stem.removeprefix(self.prefix).partition("-")[0] or 0)
            starting = creator != os.getpid() and check_pid(creator)
            if not path.with_suffix(".json").exists() and not starting:
                with contextlib.suppress(OSError):  # Windows: still open
                    path.unlink()

    # -- monitoring -----------------------------------------------------------------------------

    async def _run_monitor(self) -> None:
        delays = backoff(RESTART_DELAY, MAX_RESTART_DELAY)
        while not self._stopping:
            try:
                try:
                    found = await self._find()
                finally:
                    await self._on_searched()
                if not found:
                    await self._launch()
                self._error = None
                self._ready.set()
                delays = backoff(RESTART_DELAY, MAX_RESTART_DELAY)
                await self._until_lease_ends()
            except GatewayUnreachable as error:
                self._error = error
                self.log.error("%s", error.message)
            except Exception as error:
                # Requests must get an answer, and the next attempt may succeed.
                self._error = GatewayUnreachable(
                    f"The embedded gateway cannot be used ({type(error).__name__}): this server's"
                    " log says more. With --mode=local kernels run without it."
                )
                self.log.exception("The embedded gateway cannot be used")
            self._ready.clear()
            self._release()
            self._remove_stale_files()
            await asyncio.sleep(next(delays))

    async def _until_lease_ends(self) -> None:
        connection = self._lease
        while connection is not None and await connection.read_message() is not None:
            pass
        if not self._stopping:
            self.log.error(
                "The embedded gateway has stopped; starting it again. What ran on it is lost."
            )

    def _release(self) -> None:
        """Close the lease; another attempt may find the gateway again."""
        if self._lease is not None:
            self._lease.close()
        self._lease, self._info = None, {}

    async def _find(self) -> bool:
        """Take over a running gateway of an earlier notebook server on this directory."""
        for path in sorted(self.folder.glob(f"{self.prefix}*.json")):
            info = _read_info(path)
            if _is_dead(info):
                path.unlink(missing_ok=True)
                continue
            if info is None or info.get("root_dir") != self.root_dir or not _is_here(info):
                continue
            try:
                self._lease = await _take_lease(info)
            except lease.AuthenticationFailed:
                # Its process has died, and another has its process id.
                path.unlink(missing_ok=True)
                continue
            except Exception as error:  # noqa: BLE001 - a stranger may answer anything
                # Or it does not answer in time, or another notebook server owns it.
                self.log.debug("The gateway of %s cannot be taken over: %r", path, error)
                continue
            await self._use(path, info)
            self.log.info(
                "Found the embedded gateway of an earlier server at %s", self._info["url"]
            )
            self._on_found(await self._kernels(info))
            return True
        return False

    async def _kernels(self, info: JsonObject) -> list[JsonObject]:
        async with _client(info) as client:
            response = await client.get("api/kernels")
            models: list[JsonObject] = response.raise_for_status().json()
        return models

    async def _launch(self) -> None:
        self.log.info("Starting the embedded gateway, where the kernels will run ...")
        started_at = time.monotonic()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{self.prefix}{os.getpid()}-{time.time_ns()}{self.suffix}.json"
        log_path = path.with_suffix(".log")
        self._process = _spawn(
            log_path,
            {
                "root_dir": self.root_dir,
                "cwd": str(Path.cwd()),
                "info_file": str(path),
                "log_file": str(log_path),
                "config": self.kernel_config,
                "linger": self.config.embedded_linger,
                "max_message_size": self.config.max_message_size,
                "log_level": self.log.getEffectiveLevel(),
            },
        )
        while (info := _read_info(path)) is None:
            if self._process.poll() is not None or time.monotonic() - started_at > START_TIMEOUT:
                raise self._start_error(log_path)
            await asyncio.sleep(POLL_INTERVAL)
        self._lease = await _take_lease(info)
        await self._use(path, info)
        self.log.info(
            "The embedded gateway is ready at %s after %.1f s (its log: %s)",
            self._info["url"],
            time.monotonic() - started_at,
            log_path,
        )

    def _start_error(self, log_path: Path) -> GatewayUnreachable:
        with contextlib.suppress(OSError):
            tail = log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
            self.log.error(
                "The end of the embedded gateway's log:\n%s", without_secrets("\n".join(tail))
            )
        return GatewayUnreachable(
            f"The embedded gateway does not start: see {log_path}. With --mode=local kernels run"
            " without it."
        )

    async def _use(self, path: Path, info: JsonObject) -> None:
        self._info = info
        self._on_address(str(info["url"]).rstrip("/"), str(info["token"]))
        await self._on_used(path.stem)

    # -- stopping it ------------------------------------------------------------------------------

    async def _shut_down(self, info: JsonObject) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT
        with contextlib.suppress(httpx.HTTPError):
            async with _client(info) as client:
                await client.post("api/shutdown")
        while _alive(self._process, info["pid"]):
            if time.monotonic() > deadline:
                self.log.warning(
                    "The embedded gateway (process %s) is still ending its kernels.", info["pid"]
                )
                return
            await asyncio.sleep(POLL_INTERVAL)


def _spawn(log_path: Path, settings: JsonObject) -> subprocess.Popen[bytes]:
    """Start the process, in a session of its own, so that it gets no Ctrl-C of the terminal."""
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(descriptor, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "notebook_remote.embedded.server"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=for_embedded_gateway(),
            # Python imports from there first, so it must not be the notebooks' folder.
            cwd=log_path.parent,
            start_new_session=True,
            creationflags=flags,
        )
    assert process.stdin is not None  # noqa: S101 - for the type checker
    with contextlib.suppress(BrokenPipeError):  # it died at once; its log says why
        process.stdin.write(json.dumps(settings).encode())
        process.stdin.close()
    return process


def _read_info(path: Path) -> JsonObject | None:
    """The content of a gateway's server info file, or None if it is incomplete or missing.

    The file must belong to this user, and be accessible to nobody else.
    """
    try:
        with open(path, encoding="utf-8", opener=_open_without_links) as file:
            mode = os.fstat(file.fileno())
            info = json.load(file)
        parts = urlsplit(str(info["url"]))
        usable = (
            parts.scheme == "http"
            and parts.port
            and ipaddress.ip_address(parts.hostname or "").is_loopback
            and info["token"]
            and 0 < int(info["pid"]) < 2**31
        )
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    foreign = hasattr(os, "getuid") and (mode.st_uid != os.getuid() or mode.st_mode & 0o077)
    return info if usable and not foreign else None


def _open_without_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _is_here(info: JsonObject) -> bool:
    """Whether a gateway was started on this computer since its last boot."""
    return (info.get("host"), info.get("boot")) == this_computer()


def _is_dead(info: JsonObject | None) -> bool:
    """Whether a gateway's process is gone, as far as this computer can know."""
    if info is None or info.get("host") != this_computer()[0]:
        return False
    pid = int(info["pid"])
    if not _is_here(info) or not check_pid(pid):
        return True
    try:
        return Path(f"/proc/{pid}").stat().st_uid != os.getuid()
    except (OSError, AttributeError):
        return False  # no /proc; authentication will tell


async def _take_lease(info: JsonObject) -> WebSocketClientConnection:
    """Become the owner of a gateway.

    Raises AuthenticationFailed if the other end does not know the token, HTTPError if the gateway
    has an owner, and OSError or TimeoutError if it does not answer or disconnects. Another server
    at the address may cause other errors.
    """
    parts = urlsplit(str(info["url"]))
    url = f"ws://{parts.netloc}{parts.path.rstrip('/')}{lease.PATH}"
    connection = await websocket_connect(
        HTTPRequest(
            url,
            connect_timeout=lease.HANDSHAKE_TIMEOUT,
            request_timeout=lease.HANDSHAKE_TIMEOUT,
            follow_redirects=False,
        )
    )
    try:
        peer = lease.Peer(str(info["token"]), parts.port or 0, is_gateway=False)
        with anyio.fail_after(lease.HANDSHAKE_TIMEOUT):
            granted = await _authenticate(connection, peer)
        if not granted:
            raise HTTPError(409, "Another notebook server uses this gateway.")
    except BaseException:
        connection.close()
        raise
    return connection


async def _authenticate(connection: WebSocketClientConnection, peer: lease.Peer) -> bool:
    """Authenticate both ends; returns whether the lease was granted."""
    await connection.write_message(json.dumps({"nonce": peer.nonce}))
    answer = await _receive(connection)
    nonce = str(answer.get("nonce", ""))
    peer.check(answer.get("proof"), nonce)
    await connection.write_message(json.dumps({"proof": peer.prove(nonce)}))
    return (await _receive(connection)).get("granted") is True


async def _receive(connection: WebSocketClientConnection) -> JsonObject:
    """The other end's next message. Raises AuthenticationFailed if it is malformed."""
    text = await connection.read_message()
    if text is None:
        # A gateway of ours disconnects as well, if we answered too late: that proves nothing.
        raise ConnectionResetError("it hangs up")
    return lease.parse_message(text)


def _client(info: JsonObject) -> httpx.AsyncClient:
    """An HTTP client for the gateway, for this module only."""
    headers = {"Authorization": f"token {info['token']}"}
    return httpx.AsyncClient(
        base_url=info["url"], headers=headers, trust_env=False, timeout=STOP_TIMEOUT
    )


def _alive(process: subprocess.Popen[bytes] | None, pid: int) -> bool:
    """Whether the gateway's process is running; it is not our child if it was found."""
    if process is not None and process.pid == pid:
        return process.poll() is None
    return bool(check_pid(pid))
