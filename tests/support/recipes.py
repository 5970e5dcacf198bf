"""Steps that the tests of several modules take."""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import websocket
from jupyter_server.services.kernels.handlers import MainKernelHandler
from traitlets.config import Config

from notebook_remote.client.auth import GatewayAuth
from notebook_remote.client.rest import RestClient
from notebook_remote.config.gateway import Gateway

from .servers import PATIENCE, Channels, Farm, Server


def add_spec(gateway: Server, name: str, program: str = "python") -> None:
    folder = Path(gateway.env["JUPYTER_DATA_DIR"]) / "kernels" / name
    folder.mkdir(parents=True)
    argv = [program, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": name, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))


REPORT_NODELAY = """
import socket
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler as Handler

def on_message(handler, message, stock=Handler.on_message):
    sock = handler.ws_connection.stream.socket
    option = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    print("TCP_NODELAY of the channels:", option, flush=True)
    stock(handler, message)

Handler.on_message = on_message
"""


PRINTING = """
import pathlib, time
for number in range({lines}):
    print(number, flush=True)
    with open({progress!r}, "ab") as progress:
        progress.write(b".")
    while number == 9 and not pathlib.Path({go!r}).exists():
        time.sleep(0.01)
    time.sleep(0.05)
"""


def run(farm: Farm, *arguments: str, name: str = "command") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "notebook_remote", *arguments],
        capture_output=True,
        text=True,
        env=farm.env(name),
        cwd=farm.folder,
        timeout=PATIENCE,
        check=False,
    )


def light_kernel(folder: Path) -> dict[str, str]:
    """An environment with a kernelspec whose kernel starts at once; it is never talked to."""
    spec = folder / "jupyter" / "kernels" / "light"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-S", "-c", "import time; time.sleep(600)", "{connection_file}"]
    text = json.dumps({"argv": argv, "display_name": "Light", "language": "none"})
    (spec / "kernel.json").write_text(text)
    return {"JUPYTER_PATH": str(folder / "jupyter")}


# jupyter_server before 2.20 ignores the id in the body, and starts a kernel with another one.
TAKES_AN_ID = 'model.get("kernel_id")' in inspect.getsource(MainKernelHandler.post)


def several(farm: Farm, *options: str, **gateways: Server) -> Server:
    """A notebook server with named gateways, whose tokens are in the environment."""
    tokens = {f"NOTEBOOK_REMOTE_{n.upper()}_AUTH_TOKEN": g.token for n, g in gateways.items()}
    named = [f"--gateway={name}={gateway.url}" for name, gateway in gateways.items()]
    env = {"KERNEL_USERNAME": "ada", **tokens}
    return farm.notebook(*named, *options, name="notebook", env=env)


def specs(notebook: Server) -> dict[str, Any]:
    answer = notebook.get("/api/kernelspecs")
    assert answer.ok, answer.text
    return dict(answer.json()["kernelspecs"])


def new_session(notebook: Server, path: str, kernel: str) -> dict[str, Any]:
    body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
    answer = notebook.post("/api/sessions", body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _ready() -> None:
    return None


def ask(
    gateway: Server, question: Callable[[RestClient], Awaitable[Any]], **options: object
) -> Any:
    """Ask one question with a client of our own."""

    async def run() -> Any:
        section = {"url": gateway.url, "auth_token": gateway.token, **options}
        config = Gateway(config=Config({"Gateway": section}))
        client = RestClient(config, GatewayAuth(config), ssl.create_default_context(), _ready)
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(run())


def new_body(**kernel: str) -> dict[str, object]:
    path = f"{uuid.uuid4().hex}.ipynb"
    return {"path": path, "name": path, "type": "notebook", "kernel": kernel or {"name": "python3"}}


def assert_ends(channels: Channels) -> None:
    """The page's socket ends, and not with a code that keeps the page from reconnecting."""
    with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):  # noqa: PT012
        while True:
            channels.receive()
    assert channels.close_code not in (1000, 1001)


STUCK_AFTER = 2.0  # seconds without an answer; a server that is merely slow makes the test easier


def answers(url: str) -> bool:
    with suppress(requests.ConnectionError, requests.Timeout):
        requests.get(url, timeout=STUCK_AFTER)
        return True
    return False
