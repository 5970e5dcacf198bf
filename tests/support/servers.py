"""Real processes for the tests: gateways and notebook servers on random ports of loopback."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import requests
import websocket
from jupyter_client.session import Session

PATIENCE = 40.0  # seconds for anything that is waited for; a limit, not a measurement
GREETING = 3.0  # seconds for a kernel to answer before it counts as busy, as in JupyterLab
# A stop takes 5 s at most on a quiet machine; this is what tells it from one that hangs.
STOP_PATIENCE = 12.0
# Of the one who runs the tests, not for the processes they start.
OTHERS_SETTINGS = ("JUPYTER", "KERNEL_", "KG_", "EG_", "JPY_", "NOTEBOOK_REMOTE_", "PYTHON")
SHARE = 1000  # ports for each process of the tests
FIRST = 20000 + SHARE * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)
PORTS = itertools.cycle(random.sample(range(FIRST, FIRST + SHARE), SHARE))
V1 = "v1.kernel.websocket.jupyter.org"
ADDON = {
    "jupyter-server": "--ServerApp.jpserver_extensions=notebook_remote_gateway=True",
    "kernel-gateway": "--KernelGatewayApp.api=notebook_remote_gateway.kernel_gateway",
    "enterprise-gateway": "--EnterpriseGatewayApp.authorizer_class="
    "notebook_remote_gateway.enterprise_gateway.TicketAuthorizer",
}


def wait_for(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Return the first true value of ``condition``, or fail saying what did not happen."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        threading.Event().wait(0.05)
    raise AssertionError(f"waited {patience} s in vain for: {what}")


def free_port() -> int:
    """A port that nobody else is given meanwhile: of this process's share, none that systems give.

    Those begin at 32768 or above. One of them may be a kernel's, or a connection's, before the
    server is up that it was meant for.
    """
    for port in PORTS:
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def children(pid: int) -> list[int]:
    """All processes below one, by their ids."""
    return [process.pid for process in psutil.Process(pid).children(recursive=True)]


class Server:
    """A process that serves a Jupyter REST API, with its log in a file."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        env: dict[str, str],
        url: str,
        token: str,
        verify: str | bool = True,
        stock: bool = False,
    ) -> None:
        self.stock = stock  # not our server
        self.command, self.folder, self.env = command, folder, env
        self.url, self.token, self.verify = url.rstrip("/"), token, verify
        folder.mkdir(parents=True, exist_ok=True)
        self.log_path = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> Server:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self.env,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        if wait:
            wait_for(f"{self.command} to answer; its log:\n{self.log}", self._answers)
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"{self.command} ended:\n{self.log}")
        with contextlib.suppress(requests.ConnectionError):
            return self.get("/api").status_code in (200, 401, 403)
        return False

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def stop(self, patience: float = PATIENCE) -> None:
        """End it as Ctrl-C in a script does, or as a service manager does."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self._wait(patience)
        finally:
            self.kill()

    def _wait(self, patience: float) -> None:
        """Wait for its end. Stock servers lose a signal that comes while they write their log."""
        assert self.process is not None
        while self.stock and patience > STOP_PATIENCE:
            try:
                self.process.wait(STOP_PATIENCE)
            except subprocess.TimeoutExpired:  # noqa: PERF203 - once in 12 s
                self.process.send_signal(signal.SIGTERM)
                patience -= STOP_PATIENCE
            else:
                return
        self.process.wait(patience)

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # -- REST ---------------------------------------------------------------------------------

    def request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        headers = {"Authorization": f"token {self.token}", **kwargs.pop("headers", {})}
        return requests.request(
            method,
            self.url + path,
            headers=headers,
            timeout=PATIENCE,
            verify=self.verify,
            allow_redirects=False,
            **kwargs,
        )

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> requests.Response:
        return self.request("POST", path, json=body, **kwargs)

    def start_kernel(self, **body: Any) -> str:
        response = self.post("/api/kernels", body)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    @contextlib.contextmanager
    def kernel(self, **body: Any) -> Iterator[str]:
        kernel_id = self.start_kernel(**body)
        try:
            yield kernel_id
        finally:
            self.request("DELETE", f"/api/kernels/{kernel_id}")

    def channels(self, kernel_id: str, **kwargs: Any) -> Channels:
        return Channels(self, kernel_id, **kwargs)

    def connections(self, kernel_id: str) -> int:
        """How many channels of a kernel the server counts."""
        return int(self.get(f"/api/kernels/{kernel_id}").json()["connections"])

    def hang_up_in_handshake(self, kernel_id: str) -> None:
        """Be a page that opens a kernel's channels and leaves before it has an answer."""
        address = urlsplit(self.url)
        head = (
            f"GET {address.path.rstrip('/')}/api/kernels/{kernel_id}/channels HTTP/1.1",
            f"Host: {address.netloc}",
            f"Authorization: token {self.token}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            "Sec-WebSocket-Version: 13",
        )
        with socket.create_connection((str(address.hostname), address.port or 80)) as page:
            page.sendall("\r\n".join([*head, "", ""]).encode())


class Channels:
    """A WebSocket to a kernel, as the page opens one."""

    def __init__(
        self,
        server: Server,
        kernel_id: str,
        session_id: str = "",
        subprotocols: tuple[str, ...] = (V1,),
        query: str = "",
        **options: Any,
    ) -> None:
        self.session_id = session_id or uuid.uuid4().hex
        self.session = Session(key=b"", session=self.session_id, username="tester")
        base = "ws" + server.url.removeprefix("http")
        options.setdefault("header", [f"Authorization: token {server.token}"])
        self.ws = websocket.create_connection(
            f"{base}/api/kernels/{kernel_id}/channels?session_id={self.session_id}{query}",
            subprotocols=list(subprotocols),
            timeout=PATIENCE,
            **options,
        )
        self.close_code: int | None = None
        self.v1 = self.ws.getsubprotocol() == V1
        self.greeted = False
        self.early: deque[dict[str, Any]] = deque()  # what came before the kernel answered

    def __enter__(self) -> Channels:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        self.ws.close()
        self.ws.shutdown()  # after a goodbye of the server, close() leaves the socket open

    def send(
        self,
        channel: str,
        msg_type: str,
        content: dict[str, Any],
        buffers: tuple[bytes, ...] = (),
        parent: dict[str, Any] | None = None,
    ) -> str:
        msg = self.session.msg(msg_type, content, parent=parent)
        parts = [msg["header"], msg["parent_header"], msg["metadata"], msg["content"]]
        if self.v1:
            texts = [json.dumps(part, default=str).encode() for part in parts]
            layout = [channel.encode(), *texts, *buffers]
            offsets = [8 * (1 + len(layout) + 1)]
            for part in layout:
                offsets.append(offsets[-1] + len(part))
            table = b"".join(n.to_bytes(8, "little") for n in [len(offsets), *offsets])
            self.ws.send_binary(table + b"".join(layout))
        else:
            whole = {**msg, "channel": channel, "buffers": []}
            self.ws.send(json.dumps(whole, default=str))
        return str(msg["header"]["msg_id"])

    def greet(self) -> None:
        """Ask the kernel something until it is heard, as pages do before they send anything else.

        A stock gateway that connects while a kernel happens to be busy does not wait for its
        subscription to the kernel's output. A kernel that is really busy gets to hear all at once.
        """
        self.greeted = True
        deadline = time.monotonic() + GREETING
        while time.monotonic() < deadline:
            msg_id = self.send("shell", "kernel_info_request", {})
            heard: set[str] = set()
            self.ws.settimeout(0.5)
            try:
                while heard != {"shell", "iopub"}:
                    message = self.read()
                    if message["parent_header"].get("msg_id") == msg_id:
                        heard.add(message["channel"])
                    else:
                        self.early.append(message)
                return
            except websocket.WebSocketTimeoutException:
                continue
            finally:
                self.ws.settimeout(PATIENCE)

    def receive(self) -> dict[str, Any]:
        """The next message, with its channel and buffers."""
        return self.early.popleft() if self.early else self.read()

    def read(self) -> dict[str, Any]:
        """The next message from the socket itself."""
        opcode, data = self.ws.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            self.close_code = int.from_bytes(data[:2], "big")
            raise websocket.WebSocketConnectionClosedException("closed by the server")
        if opcode == websocket.ABNF.OPCODE_TEXT:
            return dict(json.loads(data))
        if not self.v1:
            raise AssertionError("a binary message in the JSON protocol is not read here")
        count = int.from_bytes(data[:8], "little")
        offsets = [int.from_bytes(data[8 * i + 8 : 8 * i + 16], "little") for i in range(count)]
        parts = [data[a:b] for a, b in zip(offsets, [*offsets[1:], len(data)], strict=True)]
        names = ("header", "parent_header", "metadata", "content")
        message = {n: json.loads(p) for n, p in zip(names, parts[1:5], strict=True)}
        return {
            **message,
            "channel": parts[0].decode(),
            "msg_type": message["header"]["msg_type"],
            "buffers": [p for p in parts[5:] if p],
        }

    def messages_until(self, msg_id: str, *msg_types: str) -> list[dict[str, Any]]:
        """What comes in answer to a message until each of these types has come."""
        missing, found = set(msg_types), []
        while missing:
            message = self.receive()
            if message["parent_header"].get("msg_id") == msg_id:
                found.append(message)
                state = message["content"].get("execution_state", "")
                missing -= {message["msg_type"], f"{message['msg_type']}:{state}"}
        return found

    def start(self, code: str, allow_stdin: bool = False, **options: Any) -> str:
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": allow_stdin,
            "stop_on_error": True,
        }
        if not self.greeted:
            self.greet()
        return self.send("shell", "execute_request", content, **options)

    def run(self, code: str) -> str:
        """Run code and return what it printed or showed; errors are part of it."""
        messages = self.messages_until(self.start(code), "execute_reply", "status:idle")
        shown = []
        for message in messages:
            content = message["content"]
            if message["msg_type"] == "stream":
                shown.append(content["text"])
            elif message["msg_type"] in ("execute_result", "display_data"):
                shown.append(content["data"]["text/plain"])
            elif message["msg_type"] == "error":
                shown.append(f"{content['ename']}: {content['evalue']}")
        return "".join(shown)


class Farm:
    """Starts servers in a folder of their own, and ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[Server] = []
        self.count = 0

    def close(self) -> None:
        stuck = []
        for server in reversed(self.servers):
            try:
                server.stop()
            except subprocess.TimeoutExpired:  # noqa: PERF203 - the others are stopped too
                stuck.append(f"{server.command} did not stop:\n{server.log}")
        assert not stuck, "\n".join(stuck)

    def env(self, name: str, **extra: str) -> dict[str, str]:
        """An environment without this machine's Jupyter and Python settings.

        PYTHONUNBUFFERED, say, hides a log that a signal finds half written.
        """
        kept = {k: v for k, v in os.environ.items() if not k.startswith(OTHERS_SETTINGS)}
        home = self.folder / name / "home"
        home.mkdir(parents=True, exist_ok=True)
        folders = {
            f"JUPYTER_{kind}_DIR": str(home / kind.lower())
            for kind in ("CONFIG", "DATA", "RUNTIME")
        }
        return {
            **kept,
            **folders,
            "HOME": str(home),
            "IPYTHONDIR": str(home / "ipython"),
            "PYTHONWARNINGS": "default",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",  # not this user's own
            **extra,
        }

    def _add(self, server: Server) -> Server:
        self.servers.append(server)
        return server

    def _name(self, what: str) -> str:
        self.count += 1
        return f"{what}-{self.count}"

    def gateway(
        self,
        kind: str,
        *options: str,
        base_url: str = "/",
        port: int = 0,
        token: str | None = None,
        env: dict[str, str] | None = None,
        tls: tuple[str, str, str] | None = None,
        addon: bool = False,
    ) -> Server:
        """A gateway: jupyter-server, kernel-gateway or enterprise-gateway; not started yet.

        ``addon``: with notebook-remote-gateway switched on, as its README says.
        """
        if addon:
            options = (*options, ADDON[kind])
        name = self._name(kind)
        port = port or free_port()
        token = secrets.token_hex(12) if token is None else token
        if kind == "jupyter-server":
            app, command = "ServerApp", [sys.executable, "-m", "jupyter_server", "--allow-root"]
            options = (
                "--ServerApp.open_browser=False",
                f"--IdentityProvider.token={token}",
                "--ServerApp.port_retries=0",
                *([] if addon else ["--ServerApp.jpserver_extensions={}"]),
                *options,
            )
        elif kind == "kernel-gateway":
            app, command = "KernelGatewayApp", [sys.executable, "-m", "kernel_gateway"]
            options = (f"--KernelGatewayApp.auth_token={token}", *options)
        else:
            app = "EnterpriseGatewayApp"
            command = [enterprise_gateway_python(), "-m", "enterprise_gateway"]
            options = (f"--EnterpriseGatewayApp.auth_token={token}", *options)
        command += [f"--{app}.ip=127.0.0.1", f"--{app}.port={port}"]
        if base_url != "/":
            command.append(f"--{app}.base_url={base_url}")
        if tls:
            command += [f"--{app}.certfile={tls[1]}", f"--{app}.keyfile={tls[2]}"]
        return self._add(
            Server(
                [*command, *options],
                self.folder / name / "root",
                self.env(name, **(env or {})),
                f"http{'s' if tls else ''}://localhost:{port}{base_url}",
                token,
                verify=tls[0] if tls else True,
                stock=True,
            )
        )

    def notebook(
        self,
        *options: str,
        gateway: Server | str | None = None,
        name: str = "",
        env: dict[str, str] | None = None,
        port: int = 0,
        base_url: str = "/",
        tls: tuple[str, str, str] | None = None,
    ) -> Server:
        """`jupyter notebook-remote`; not started yet. The same name means the same folders."""
        name = name or self._name("notebook")
        port = port or free_port()
        token = secrets.token_hex(12)
        settings = dict(env or {})
        if isinstance(gateway, Server):
            settings.setdefault("JUPYTER_GATEWAY_URL", gateway.url)
            settings.setdefault("JUPYTER_GATEWAY_AUTH_TOKEN", gateway.token)
        elif gateway is not None:
            settings["JUPYTER_GATEWAY_URL"] = gateway
        command = [
            sys.executable,
            "-m",
            "notebook_remote",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            "--ServerApp.port_retries=0",
            f"--IdentityProvider.token={token}",
        ]
        if base_url != "/":
            command.append(f"--ServerApp.base_url={base_url}")
        if tls:
            command += [f"--ServerApp.certfile={tls[1]}", f"--ServerApp.keyfile={tls[2]}"]
        root = self.folder / name / "root"
        return self._add(
            Server(
                [*command, *options],
                root,
                self.env(name, **settings),
                f"http{'s' if tls else ''}://localhost:{port}{base_url}",
                token,
                verify=tls[0] if tls else True,
            )
        )


def enterprise_gateway_python() -> str:
    return os.environ["NOTEBOOK_REMOTE_EG_PYTHON"]
