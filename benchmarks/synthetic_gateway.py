"""A gateway that is faster than any kernel, so that what is measured is what stands before it.

``python -m benchmarks.synthetic_gateway --port=… --token=…`` serves as much of a kernel gateway's
REST API as notebook servers ask for. Its kernels start at once and answer each request at once
with one reply. A request to execute ``{"count": n, "size": b, "together": t}`` is answered by n
messages of b bytes instead, from memory, t in one write, as fast as they are taken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import ssl
import uuid
from datetime import datetime, timezone
from typing import Any

from jupyter_server.services.kernels.connection.base import (
    deserialize_msg_from_ws_v1,
    serialize_msg_to_ws_v1,
)
from tornado import iostream, web, websocket
from tornado.httpserver import HTTPServer

Model = dict[str, Any]

V1 = "v1.kernel.websocket.jupyter.org"
SPEC = {
    "name": "python3",
    "spec": {"argv": [], "display_name": "Python 3", "language": "python", "metadata": {}},
    "resources": {},
}


def message(channel: str, msg_type: str, parent: Model, content: Model) -> Model:
    """A kernel's message as a dict."""
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": msg_type,
        "username": "kernel",
        "session": "synthetic",
        "date": datetime.now(timezone.utc).isoformat(),
        "version": "5.3",
    }
    return {
        "header": header,
        "parent_header": parent,
        "metadata": {},
        "content": content,
        "channel": channel,
    }


def encode(whole: Model, v1: bool) -> bytes:
    """A message as the payload of a frame, in the v1 or in the JSON protocol."""
    if v1:
        names = ("header", "parent_header", "metadata", "content")
        parts = [json.dumps(whole[name], separators=(",", ":")).encode() for name in names]
        return bytes(serialize_msg_to_ws_v1(parts, whole["channel"]))
    header = whole["header"]
    extra = {"msg_id": header["msg_id"], "msg_type": header["msg_type"], "buffers": []}
    return json.dumps({**whole, **extra}, separators=(",", ":")).encode()


def decode(payload: str | bytes) -> tuple[str, Model, Model]:
    """The channel, header and content of a message from a page."""
    if isinstance(payload, str):
        whole = json.loads(payload)
        return whole["channel"], whole["header"], whole["content"]
    channel, parts = deserialize_msg_from_ws_v1(payload)
    return channel, json.loads(parts[0]), json.loads(parts[3])


def frame_of(payload: bytes, opcode: int) -> bytes:
    """A whole frame from a server."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size <= 0xFFFF:
        length = bytes([126]) + size.to_bytes(2, "big")
    else:
        length = bytes([127]) + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + payload


@functools.lru_cache(maxsize=8)
def burst_frame(size: int, v1: bool) -> bytes:
    """A frame with a stream message of ``size`` bytes, as small as a message may be."""

    def payload(text: str) -> bytes:
        whole = {"header": {"msg_id": "", "msg_type": "stream"}, "parent_header": {}}
        content = {"text": text}
        return encode({**whole, "metadata": {}, "content": content, "channel": "iopub"}, v1)

    return frame_of(payload("x" * (size - len(payload("")))), 0x2 if v1 else 0x1)


class Kernels:
    """What this gateway knows: its kernels, its sessions, and what was agreed on for TLS."""

    def __init__(self, token: str, listing: bool) -> None:
        self.token = token
        self.listing = listing
        self.kernels: dict[str, Model] = {}
        self.sessions: dict[str, Model] = {}

    def start(self, body: Model) -> Model:
        """A new kernel's model."""
        kernel_id = str(body.get("kernel_id") or uuid.uuid4())
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.kernels[kernel_id] = {
            "id": kernel_id,
            "name": "python3",
            "last_activity": now,
            "execution_state": "idle",
            "connections": 0,
        }
        return self.kernels[kernel_id]

    def start_session(self, body: Model) -> Model:
        """A new session's model."""
        session_id = str(uuid.uuid4())
        kernel = self.start(body.get("kernel", {}))
        self.sessions[session_id] = {**body, "id": session_id, "kernel": kernel}
        return self.sessions[session_id]


class RestHandler(web.RequestHandler):
    """Checks the token, answers with JSON."""

    def initialize(self, kernels: Kernels) -> None:
        """Keep what the routes give; called by tornado."""
        self.known = kernels

    def prepare(self) -> None:
        """Refuse whoever does not have the token; called by tornado."""
        if self.request.headers.get("Authorization") != f"token {self.known.token}":
            raise web.HTTPError(401)

    def answer(self, model: Any, status: int = 200) -> None:
        """Finish with a model; tornado itself refuses lists."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(model))

    def kernel(self, kernel_id: str) -> Model:
        """A kernel's model, or a 404."""
        if kernel_id not in self.known.kernels:
            raise web.HTTPError(404)
        return self.known.kernels[kernel_id]


class ApiHandler(RestHandler):
    """``/api``."""

    def get(self) -> None:
        """The version."""
        self.answer({"version": "synthetic"})


class SpecsHandler(RestHandler):
    """``/api/kernelspecs`` and ``/api/kernelspecs/<name>``."""

    def get(self, name: str = "") -> None:
        """The one kernelspec."""
        self.answer(SPEC if name else {"default": "python3", "kernelspecs": {"python3": SPEC}})


class KernelsHandler(RestHandler):
    """``/api/kernels``."""

    def get(self) -> None:
        """All kernels; refused without ``--listing``, as by a Kernel Gateway as it comes."""
        if not self.known.listing:
            raise web.HTTPError(403)
        self.answer(list(self.known.kernels.values()))

    def post(self) -> None:
        """A new kernel."""
        self.answer(self.known.start(json.loads(self.request.body or "{}")), 201)


class KernelHandler(RestHandler):
    """``/api/kernels/<id>``."""

    def get(self, kernel_id: str) -> None:
        """One kernel."""
        self.answer(self.kernel(kernel_id))

    def delete(self, kernel_id: str) -> None:
        """Forget it."""
        del self.known.kernels[self.kernel(kernel_id)["id"]]
        self.set_status(204)


class SessionsHandler(RestHandler):
    """``/api/sessions``."""

    def get(self) -> None:
        """All sessions."""
        self.answer(list(self.known.sessions.values()))

    def post(self) -> None:
        """A new session with a new kernel."""
        self.answer(self.known.start_session(json.loads(self.request.body)), 201)


class ChannelsHandler(websocket.WebSocketHandler, RestHandler):
    """``/api/kernels/<id>/channels``: answers, or floods."""

    def prepare(self) -> None:
        """Refuse who must not, or what is not there; called by tornado."""
        super().prepare()
        self.kernel(self.path_args[0])

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Take v1 where it is offered; called by tornado."""
        return V1 if V1 in subprotocols else None

    def open(self, kernel_id: str) -> None:
        """Get ready; called by tornado."""
        assert self.ws_connection is not None  # for the type checker
        assert self.ws_connection.stream is not None
        self.stream = self.ws_connection.stream
        self.kernel(kernel_id)["tls"] = self._agreed_on()
        self.v1 = self.selected_subprotocol == V1
        self.set_nodelay(True)

    def _agreed_on(self) -> str:
        sock = self.stream.socket
        cipher = sock.cipher() if isinstance(sock, ssl.SSLSocket) else None
        return f"{cipher[1]} {cipher[0]}" if cipher else ""

    def on_message(self, payload: str | bytes) -> None:
        """Answer a message; called by tornado, which has answered pings."""
        channel, header, content = decode(payload)
        code = content.get("code", "")
        if code.startswith('{"count"'):
            # A task of its own, so that pings are answered meanwhile: between two writes.
            flood = self._flood(**json.loads(code))
            self.flooding = asyncio.create_task(flood, name="flood")
            return
        kind = header["msg_type"].removesuffix("_request") + "_reply"
        reply = message(channel, kind, header, {"status": "ok", "execution_count": 1})
        self.write_message(encode(reply, self.v1), binary=self.v1)

    async def _flood(self, count: int, size: int, together: int) -> None:
        """Write ``count`` messages, ``together`` in one write, past tornado's framing.

        Only whole frames are written, so that a pong may come between any two writes.
        """
        block = burst_frame(size, self.v1) * together
        try:
            for _ in range(count // together):
                await self._write(block)
        except (iostream.StreamClosedError, OSError):
            return  # whoever asked has had enough

    async def _write(self, block: bytes) -> None:
        """Write at once as a kernel's messages are, or when the stream can take more."""
        sent = 0
        if not self.stream.writing():
            with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
                sent = self.stream.socket.send(block)
        if sent < len(block):
            await self.stream.write(memoryview(block)[sent:])


def application(kernels: Kernels) -> web.Application:
    """All routes."""
    one = r"([\w-]+)"
    routes: list[tuple[str, type[web.RequestHandler]]] = [
        (r"/api", ApiHandler),
        (r"/api/kernelspecs", SpecsHandler),
        (rf"/api/kernelspecs/{one}", SpecsHandler),
        (r"/api/kernels", KernelsHandler),
        (rf"/api/kernels/{one}", KernelHandler),
        (rf"/api/kernels/{one}/channels", ChannelsHandler),
        (r"/api/sessions", SessionsHandler),
    ]
    return web.Application(
        [(path, handler, {"kernels": kernels}) for path, handler in routes],
        log_function=lambda handler: None,
    )


async def main() -> None:
    """Serve until killed, or for ``--seconds`` at most."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--cert", help="file with the certificate, for TLS")
    parser.add_argument("--key", help="file with its key")
    parser.add_argument("--no-listing", action="store_true", help="refuse to list kernels")
    parser.add_argument("--seconds", type=float, default=3600, help="to live at most")
    options = parser.parse_args()
    tls = None
    if options.cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.cert, options.key)
    kernels = Kernels(options.token, listing=not options.no_listing)
    HTTPServer(application(kernels), ssl_options=tls).listen(options.port, "127.0.0.1")
    await asyncio.sleep(options.seconds)


if __name__ == "__main__":
    asyncio.run(main())
