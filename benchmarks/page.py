"""A page's side of a kernel's channels, with timers: run a cell, receive a flood of output."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from typing import Any

from websocket import WebSocketException

from tests.support.servers import Channels, Server

from .frame_counter import FrameCounter

READ_SIZE = 512 * 1024  # bytes
FLOOD_TIMEOUT = 10.0  # seconds without a byte until a flood counts as lost


class FloodLost(Exception):
    """The channels were closed, or messages did not arrive."""


class Page(Channels):
    """A page's WebSocket to a kernel. Like browsers, it sends small packets without delay."""

    def __init__(self, server: Server, kernel_id: str = "", **options: Any) -> None:
        kernel_id = kernel_id or server.start_kernel()
        tls = {"ca_certs": server.verify} if isinstance(server.verify, str) else {}
        try:
            super().__init__(server, kernel_id, sslopt=tls, **options)
        except WebSocketException:
            # Like JupyterLab: stock servers in front of a gateway support the JSON protocol only.
            super().__init__(server, kernel_id, sslopt=tls, subprotocols=(), **options)
        self.kernel_id = kernel_id
        self.greeted = True  # no other requests than those that are measured

    @classmethod
    def in_direct_mode(cls, server: Server, gateway: Server) -> Page:
        """Connect like a page in direct mode: to the gateway itself, with a ticket."""
        kernel_id, session_id = server.start_kernel(), uuid.uuid4().hex
        path = f"/notebook-remote/api/kernels/{kernel_id}/channels"
        origin = {"Origin": server.url}
        answer = server.post(path, {"session_id": session_id}, headers=origin).json()
        place = answer["places"][0]
        if place["kind"] != "direct":
            raise RuntimeError(f"A direct connection is not possible: {answer['why']}")
        query = "&" + place["url"].partition("&")[2]
        return cls(
            gateway, kernel_id, session_id=session_id, header=[], origin=server.url, query=query
        )

    def __enter__(self) -> Page:
        return self

    @property
    def tls(self) -> str:
        """TLS version and cipher of the connection; empty without TLS."""
        cipher = getattr(self.ws.sock, "cipher", lambda: None)()
        return f"{cipher[1]} {cipher[0]}" if cipher else ""

    def time_reply(self, code: str = "1") -> float:
        """Run code and return the seconds until its reply."""
        started = time.perf_counter()
        self.messages_until(self.start(code), "execute_reply")
        return time.perf_counter() - started

    def time_execution(self, code: str = "1") -> float:
        """Like ``time_reply``, but return only when the kernel is idle again."""
        started = time.perf_counter()
        msg_id = self.start(code)
        seconds, pending = 0.0, {"execute_reply", "status:idle"}
        while pending:
            message = self.receive()
            if message["parent_header"].get("msg_id") == msg_id:
                state = message["content"].get("execution_state", "")
                pending -= {message["msg_type"], f"{message['msg_type']}:{state}"}
                if "execute_reply" not in pending and not seconds:
                    seconds = time.perf_counter() - started
        return seconds

    def flood(self, count: int, size: int, per_write: int = 1) -> float:
        """Request ``count`` messages of ``size`` bytes; return the seconds until all have arrived.

        For synthetic gateways. Raises FloodLost. Reads the socket directly: websocket-client has
        read up to the end of a frame, and no further.
        """
        sock = self.ws.sock
        assert sock is not None  # for the type checker
        sock.settimeout(FLOOD_TIMEOUT)
        view = memoryview(bytearray(READ_SIZE))
        counter = FrameCounter()
        started = time.perf_counter()
        self.start(json.dumps({"count": count, "size": size, "per_write": per_write}))
        while counter.frames < count or not counter.between_frames:
            try:
                received = sock.recv_into(view)
                pings = counter.feed(view[:received])
            except OSError as error:
                raise FloodLost(str(error)) from None
            if not received:
                raise FloodLost("closed")
            for payload in pings:
                self.ws.pong(payload)
        return time.perf_counter() - started

    def close(self) -> None:
        """Close the connection, whatever its state."""
        with contextlib.suppress(OSError, WebSocketException):
            self.ws.close(timeout=1)
