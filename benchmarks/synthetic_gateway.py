"""A gateway that is faster than any kernel, so that a benchmark measures the server before it.

``python -m benchmarks.synthetic_gateway --port=… --token=…`` serves the part of a kernel gateway's
REST API that notebook servers use. Its kernels start immediately, and reply to each request
immediately. A request to execute ``{"count": n, "size": b, "per_write": w}`` is answered by n
messages of b bytes instead, from memory, w in each write, as fast as the client receives them.
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

JsonObject = dict[str, Any]

V1 = "v1.kernel.websocket.jupyter.org"
SPEC = {
    "name": "python3",
    "spec": {"argv": [], "display_name": "Python 3", "language": "python", "metadata": {}},
    "resources": {},
}


def message(channel: str, msg_type: str, parent: JsonObject, content: JsonObject) -> JsonObject:
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


def encode(message_dict: JsonObject, v1: bool) -> bytes:
    """A message as the payload of a frame, in the v1 or in the JSON protocol."""
    if v1:
        names = ("header", "parent_header", "metadata", "content")
        parts = [json.dumps(message_dict[name], separators=(",", ":")).encode() for name in names]
        return bytes(serialize_msg_to_ws_v1(parts, message_dict["channel"]))
    header = message_dict["header"]
    extra = {"msg_id": header["msg_id"], "msg_type": header["msg_type"], "buffers": []}
    return json.dumps({**message_dict, **extra}, separators=(",", ":")).encode()


def decode(payload: str | bytes) -> tuple[str, JsonObject, JsonObject]:
    """The channel, header and content of a message from a page."""
    if isinstance(payload, str):
        message_dict = json.loads(payload)
        return message_dict["channel"], message_dict["header"], message_dict["content"]
    channel, parts = deserialize_msg_from_ws_v1(payload)
    return channel, json.loads(parts[0]), json.loads(parts[3])


def encode_frame(payload: bytes, opcode: int) -> bytes:
    """Encode a server's frame."""
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
    """A frame with a stream message of ``size`` bytes; its header has the required fields only."""

    def payload(text: str) -> bytes:
        message_dict = {"header": {"msg_id": "", "msg_type": "stream"}, "parent_header": {}}
        content = {"text": text}
        return encode({**message_dict, "metadata": {}, "content": content, "channel": "iopub"}, v1)

    return encode_frame(payload("x" * (size - len(payload("")))), 0x2 if v1 else 0x1)


class Registry:
    """The gateway's kernels and sessions; a kernel's model has TLS version and cipher."""

    def __init__(self, token: str, listing: bool) -> None:
        self.token = token
        self.listing = listing
        self.kernels: dict[str, JsonObject] = {}
        self.sessions: dict[str, JsonObject] = {}

    def start(self, body: JsonObject) -> JsonObject:
        """Start a kernel and return its model."""
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

    def start_session(self, body: JsonObject) -> JsonObject:
        """Start a session with a kernel and return its model."""
        session_id = str(uuid.uuid4())
        kernel = self.start(body.get("kernel", {}))
        self.sessions[session_id] = {**body, "id": session_id, "kernel": kernel}
        return self.sessions[session_id]


class RestHandler(web.RequestHandler):
    """Checks the token and responds with JSON."""

    def initialize(self, registry: Registry) -> None:
        """Store the registry; called by tornado."""
        self.registry = registry

    def prepare(self) -> None:
        """Reject requests without the token; called by tornado."""
        if self.request.headers.get("Authorization") != f"token {self.registry.token}":
            raise web.HTTPError(401)

    def respond(self, model: Any, status: int = 200) -> None:
        """Respond with a model; tornado's own ``finish`` rejects lists."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(model))

    def kernel(self, kernel_id: str) -> JsonObject:
        """Return a kernel's model; raise a 404 for an unknown kernel."""
        if kernel_id not in self.registry.kernels:
            raise web.HTTPError(404)
        return self.registry.kernels[kernel_id]


class ApiHandler(RestHandler):
    """``/api``."""

    def get(self) -> None:
        """The version."""
        self.respond({"version": "synthetic"})


class SpecsHandler(RestHandler):
    """``/api/kernelspecs`` and ``/api/kernelspecs/<name>``."""

    def get(self, name: str = "") -> None:
        """The one kernelspec."""
        self.respond(SPEC if name else {"default": "python3", "kernelspecs": {"python3": SPEC}})


class KernelsHandler(RestHandler):
    """``/api/kernels``."""

    def get(self) -> None:
        """All kernels; 403 with ``--no-listing``, which is the default of Kernel Gateway."""
        if not self.registry.listing:
            raise web.HTTPError(403)
        self.respond(list(self.registry.kernels.values()))

    def post(self) -> None:
        """A new kernel."""
        self.respond(self.registry.start(json.loads(self.request.body or "{}")), 201)


class KernelHandler(RestHandler):
    """``/api/kernels/<id>``."""

    def get(self, kernel_id: str) -> None:
        """One kernel."""
        self.respond(self.kernel(kernel_id))

    def delete(self, kernel_id: str) -> None:
        """Delete a kernel."""
        del self.registry.kernels[self.kernel(kernel_id)["id"]]
        self.set_status(204)


class SessionsHandler(RestHandler):
    """``/api/sessions``."""

    def get(self) -> None:
        """All sessions."""
        self.respond(list(self.registry.sessions.values()))

    def post(self) -> None:
        """A new session with a new kernel."""
        self.respond(self.registry.start_session(json.loads(self.request.body)), 201)


class ChannelsHandler(websocket.WebSocketHandler, RestHandler):
    """``/api/kernels/<id>/channels``: replies, or sends a flood."""

    def prepare(self) -> None:
        """Reject requests without the token or for an unknown kernel; called by tornado."""
        super().prepare()
        self.kernel(self.path_args[0])

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Select v1 if the client offers it; called by tornado."""
        return V1 if V1 in subprotocols else None

    def open(self, kernel_id: str) -> None:
        """Record the TLS parameters; called by tornado after the handshake."""
        assert self.ws_connection is not None  # for the type checker
        assert self.ws_connection.stream is not None
        self.stream = self.ws_connection.stream
        self.kernel(kernel_id)["tls"] = self._tls_parameters()
        self.v1 = self.selected_subprotocol == V1
        self.set_nodelay(True)

    def _tls_parameters(self) -> str:
        sock = self.stream.socket
        cipher = sock.cipher() if isinstance(sock, ssl.SSLSocket) else None
        return f"{cipher[1]} {cipher[0]}" if cipher else ""

    def on_message(self, payload: str | bytes) -> None:
        """Reply to a message; called by tornado, which answers pings itself."""
        channel, header, content = decode(payload)
        code = content.get("code", "")
        if code.startswith('{"count"'):
            # In a task, so that tornado can answer pings between two writes.
            flood = self._flood(**json.loads(code))
            self.flooding = asyncio.create_task(flood, name="flood")
            return
        kind = header["msg_type"].removesuffix("_request") + "_reply"
        reply = message(channel, kind, header, {"status": "ok", "execution_count": 1})
        self.write_message(encode(reply, self.v1), binary=self.v1)

    async def _flood(self, count: int, size: int, per_write: int) -> None:
        """Write ``count`` messages, ``per_write`` in each write, without tornado's framing.

        Each write has complete frames only, so that a pong can be sent between two writes.
        """
        block = burst_frame(size, self.v1) * per_write
        try:
            for _ in range(count // per_write):
                await self._write(block)
        except (iostream.StreamClosedError, OSError):
            return  # the client has closed the connection

    async def _write(self, block: bytes) -> None:
        """Write immediately, as a server writes a kernel's messages; wait if the socket is full."""
        sent = 0
        if not self.stream.writing():
            with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
                sent = self.stream.socket.send(block)
        if sent < len(block):
            await self.stream.write(memoryview(block)[sent:])


def application(registry: Registry) -> web.Application:
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
        [(path, handler, {"registry": registry}) for path, handler in routes],
        log_function=lambda handler: None,
    )


async def main() -> None:
    """Serve until killed, or for ``--seconds`` at most."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_gateway")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--cert", help="file with the certificate, for TLS")
    parser.add_argument("--key", help="file with its key")
    parser.add_argument("--no-listing", action="store_true", help="reject requests for all kernels")
    parser.add_argument("--seconds", type=float, default=3600, help="stop after this time")
    options = parser.parse_args()
    tls = None
    if options.cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.cert, options.key)
    registry = Registry(options.token, listing=not options.no_listing)
    HTTPServer(application(registry), ssl_options=tls).listen(options.port, "127.0.0.1")
    await asyncio.sleep(options.seconds)


if __name__ == "__main__":
    asyncio.run(main())
