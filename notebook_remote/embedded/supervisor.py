"""The embedded gateway, seen from the notebook server: start it, find it again, stop it.

It is a process of its own (``embedded_app.py``), so kernels outlive a notebook server that crashes.
What a running one is found by is jupyter_server's own server info file (URL, token, process id,
root directory; readable by the user only), kept in the Jupyter runtime directory.
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

import httpx
from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server.utils import check_pid
from tornado.httpclient import HTTPError, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

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
POLL = 0.05  # seconds between two looks for the info file of a starting gateway
RESTART_PAUSE = 2.0  # seconds before a gateway that died is started again, doubled each time
RESTART_PAUSE_MAX = 60.0  # seconds
LOG_TAIL = 15  # lines of its log shown when it does not start


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
        # Another environment has other kernels: its gateway is not ours.
        key = hashlib.sha256(f"{self.root_dir}\0{sys.prefix}".encode()).hexdigest()[:12]
        self.folder = Path(jupyter_runtime_dir()) / "notebook-remote"
        self.prefix = f"{KEY_PREFIX}{key}-"
        # Servers on one directory may have other folders, or other computers with one of that path.
        place = f"{this_computer()[0]}\0{self.folder.resolve()}"
        self.suffix = f"-{hashlib.sha256(place.encode()).hexdigest()[:12]}"
        self._process: subprocess.Popen[bytes] | None = None
        self._info: JsonObject = {}
        self._lease: WebSocketClientConnection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._error: GatewayUnreachable | None = None
        self._stopping = False
        self._stopped: asyncio.Task[None] | None = None

    def is_gone(self, key: str) -> bool:
        """Whether a key in the store is that of an embedded gateway that has stopped for good.

        Of one whose info file is not in our folder we can know nothing.
        """
        path = self.folder / f"{key}.json"
        ours = key.startswith(KEY_PREFIX) and key.endswith(self.suffix)
        return ours and (not path.exists() or _is_dead(_read_info(path)))

    async def ready(self) -> None:
        """Wait until the gateway can be used. Raises GatewayUnreachable when it cannot start."""
        while not self._ready.is_set():
            if self._error is not None:
                raise self._error
            if self._keeper is not None and self._keeper.done():
                raise GatewayUnreachable("The embedded gateway is stopped with this server.")
            await asyncio.sleep(POLL)

    def start(
        self,
        on_address: Callable[[str, str], None],
        on_searched: Callable[[], Awaitable[None]],
        on_used: Callable[[str], Awaitable[None]],
        on_found: Callable[[list[JsonObject]], None],
    ) -> None:
        """Begin to find or start it, and to keep it running; called once the loop runs.

        ``on_address`` gets its URL and token each time that it was started or found; then
        ``on_used`` gets the key by which the store knows the gateway; ``on_found`` the models of
        the kernels on one that was taken over from an earlier notebook server; ``on_searched`` is
        awaited when it is clear whether there is such a one.
        """
        self._on_address = on_address
        self._on_searched = on_searched
        self._on_used = on_used
        self._on_found = on_found
        self._keeper = asyncio.create_task(self._keep(), name="keep the embedded gateway")

    async def stop(self) -> None:
        """Stop it with its kernels, within STOP_TIMEOUT seconds; a second call waits as well."""
        if self._stopped is None:
            self._stopped = asyncio.create_task(self._stop(), name="stop the embedded gateway")
        await asyncio.shield(self._stopped)

    async def leave(self) -> None:
        """Let go of it, so that the next notebook server finds it, with its kernels."""
        await self._stop_keeping()
        self._release()

    async def _stop_keeping(self) -> None:
        self._stopping = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)

    async def _stop(self) -> None:
        await self._stop_keeping()
        info, self._info = self._info, {}
        if info:
            await self._shut_down(info)
        elif self._process is not None and self._process.poll() is None:
            self._process.kill()  # it was still starting, so it has no kernels
        if self._lease is not None:
            self._lease.close()
        self._tidy()

    def _tidy(self) -> None:
        """Remove what gateways that have stopped left in the folder, but not a starting one's."""
        for path in self.folder.glob(f"{self.prefix}*"):
            creator = int(path.stem.removeprefix(self.prefix).partition("-")[0] or 0)
            starting = creator != os.getpid() and check_pid(creator)
            if not path.with_suffix(".json").exists() and not starting:
                with contextlib.suppress(OSError):  # Windows: still open
                    path.unlink()

    # -- keeping it running ---------------------------------------------------------------------

    async def _keep(self) -> None:
        pause = RESTART_PAUSE
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
                pause = RESTART_PAUSE
                await self._until_lease_ends()
            except GatewayUnreachable as error:
                self._error = error
                self.log.error("%s", error.message)
            except Exception as error:
                # Whatever it is, requests must get an answer, and the next attempt may succeed.
                self._error = GatewayUnreachable(
                    f"The embedded gateway cannot be used ({type(error).__name__}): this server's"
                    " log says more. With --mode=local kernels run without it."
                )
                self.log.exception("The embedded gateway cannot be used")
            self._ready.clear()
            self._release()
            self._tidy()
            await asyncio.sleep(pause)
            pause = min(2 * pause, RESTART_PAUSE_MAX)

    async def _until_lease_ends(self) -> None:
        connection = self._lease
        while connection is not None and await connection.read_message() is not None:
            pass
        if not self._stopping:
            self.log.error(
                "The embedded gateway has stopped; starting it again. What ran on it is lost."
            )

    def _release(self) -> None:
        """Let go of a gateway that is gone, or that another attempt may find."""
        if self._lease is not None:
            self._lease.close()
        self._lease, self._info = None, {}

    async def _find(self) -> bool:
        """Take over a gateway that an earlier notebook server on this directory has left."""
        for path in sorted(self.folder.glob(f"{self.prefix}*.json")):
            info = _read_info(path)
            if _is_dead(info):
                path.unlink(missing_ok=True)
                continue
            if info is None or info.get("root_dir") != self.root_dir or not _is_here(info):
                continue
            try:
                self._lease = await _take_lease(info)
            except lease.NotProven:
                # Its process has died, and its number was given to another.
                path.unlink(missing_ok=True)
                continue
            except Exception as error:  # noqa: BLE001 - a stranger may answer whatever there is
                # Or it does not answer in time, or is in use by another notebook server.
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
        began = time.monotonic()
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
            if self._process.poll() is not None or time.monotonic() - began > START_TIMEOUT:
                raise self._not_started(log_path)
            await asyncio.sleep(POLL)
        self._lease = await _take_lease(info)
        await self._use(path, info)
        self.log.info(
            "The embedded gateway is ready at %s after %.1f s (its log: %s)",
            self._info["url"],
            time.monotonic() - began,
            log_path,
        )

    def _not_started(self, log_path: Path) -> GatewayUnreachable:
        with contextlib.suppress(OSError):
            tail = log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
            self.log.error("The embedded gateway said:\n%s", without_secrets("\n".join(tail)))
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
            await asyncio.sleep(POLL)


def _spawn(log_path: Path, settings: JsonObject) -> subprocess.Popen[bytes]:
    """Start the process, in a session of its own: a Ctrl-C in the terminal is not for it."""
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with open(descriptor, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "notebook_remote.embedded.server"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=for_embedded_gateway(),
            # Python looks for modules there first: never in the notebooks' folder.
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
    """The server info file of a gateway on this computer, or None while there is no complete one.

    It must have been written by this user, whom nobody else can be.
    """
    try:
        with open(path, encoding="utf-8", opener=_without_links) as file:
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


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _is_here(info: JsonObject) -> bool:
    """Whether a gateway was started on this computer, since it was switched on."""
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
        return False  # another system; the proof of its token counts


async def _take_lease(info: JsonObject) -> WebSocketClientConnection:
    """Become the owner.

    Raises NotProven when what answers does not know the token, HTTPError when the gateway has an
    owner, and OSError or TimeoutError when it does not answer, or hangs up; what is no embedded
    gateway may lead to other errors.
    """
    parts = urlsplit(str(info["url"]))
    url = f"ws://{parts.netloc}{parts.path.rstrip('/')}{lease.PATH}"
    connection = await websocket_connect(
        HTTPRequest(
            url,
            connect_timeout=lease.LIMIT,
            request_timeout=lease.LIMIT,
            follow_redirects=False,
        )
    )
    try:
        side = lease.Side(str(info["token"]), parts.port or 0, is_gateway=False)
        granted = await asyncio.wait_for(_prove(connection, side), lease.LIMIT)
        if not granted:
            raise HTTPError(409, "Another notebook server uses this gateway.")
    except BaseException:
        connection.close()
        raise
    return connection


async def _prove(connection: WebSocketClientConnection, side: lease.Side) -> bool:
    """Let both ends prove themselves; whether the lease is given."""
    await connection.write_message(json.dumps({"nonce": side.nonce}))
    answer = await _heard(connection)
    nonce = str(answer.get("nonce", ""))
    side.check(answer.get("proof"), nonce)
    await connection.write_message(json.dumps({"proof": side.prove(nonce)}))
    return (await _heard(connection)).get("granted") is True


async def _heard(connection: WebSocketClientConnection) -> JsonObject:
    """The other end's next message. Raises NotProven for what is none."""
    text = await connection.read_message()
    if text is None:
        # So does a gateway of ours that had to wait too long for us: that proves nothing.
        raise ConnectionResetError("it hangs up")
    return lease.message(text)


def _client(info: JsonObject) -> httpx.AsyncClient:
    """A client for what this module itself has to say to the gateway."""
    headers = {"Authorization": f"token {info['token']}"}
    return httpx.AsyncClient(
        base_url=info["url"], headers=headers, trust_env=False, timeout=STOP_TIMEOUT
    )


def _alive(process: subprocess.Popen[bytes] | None, pid: int) -> bool:
    """Whether the gateway's process runs; it is our child unless it was found."""
    if process is not None and process.pid == pid:
        return process.poll() is None
    return bool(check_pid(pid))
