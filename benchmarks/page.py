"""What a page does with a kernel's channels, timed: run a cell, take a flood of output."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from typing import Any

from websocket import WebSocketException

from tests.processes import Channels, Server

from .frame_counter import FrameCounter

READ_AT_ONCE = 512 * 1024  # bytes
FLOOD_PATIENCE = 10.0  # seconds without a byte, after which a flood is lost


class Lost(Exception):
    """The channels have ended, or nothing came any more."""


class Page(Channels):
    """A page's WebSocket to a kernel. As browsers do, it sends small packets at once."""

    def __init__(self, server: Server, kernel_id: str = "", **options: Any) -> None:
        kernel_id = kernel_id or server.start_kernel()
        tls = {"ca_certs": server.verify} if isinstance(server.verify, str) else {}
        try:
            super().__init__(server, kernel_id, sslopt=tls, **options)
        except WebSocketException:
            # As JupyterLab does: stock servers before a gateway speak the JSON protocol only.
            super().__init__(server, kernel_id, sslopt=tls, subprotocols=(), **options)
        self.kernel_id = kernel_id
        self.greeted = True  # nothing goes out but what is measured

    @classmethod
    def in_direct_mode(cls, server: Server, gateway: Server) -> Page:
        """As a page of a notebook server in direct mode: at the gateway itself, by a ticket."""
        kernel_id, session_id = server.start_kernel(), uuid.uuid4().hex
        where = f"/notebook-remote/api/kernels/{kernel_id}/channels"
        origin = {"Origin": server.url}
        answer = server.post(where, {"session_id": session_id}, headers=origin).json()
        place = answer["places"][0]
        if place["kind"] != "direct":
            raise RuntimeError(f"There is no direct way: {answer['why']}")
        query = "&" + place["url"].partition("&")[2]
        return cls(
            gateway, kernel_id, session_id=session_id, header=[], origin=server.url, query=query
        )

    def __enter__(self) -> Page:
        return self

    @property
    def tls(self) -> str:
        """Version and cipher on this leg; empty without TLS."""
        cipher = getattr(self.ws.sock, "cipher", lambda: None)()
        return f"{cipher[1]} {cipher[0]}" if cipher else ""

    def ask(self, code: str = "1") -> float:
        """Run code and return the seconds until its reply."""
        started = time.perf_counter()
        self.messages_until(self.start(code), "execute_reply")
        return time.perf_counter() - started

    def execute(self, code: str = "1") -> float:
        """As ``ask``, but return only when the kernel is idle again, as a page sees it."""
        started = time.perf_counter()
        msg_id = self.start(code)
        replied, missing = 0.0, {"execute_reply", "status:idle"}
        while missing:
            message = self.receive()
            if message["parent_header"].get("msg_id") == msg_id:
                state = message["content"].get("execution_state", "")
                missing -= {message["msg_type"], f"{message['msg_type']}:{state}"}
                if "execute_reply" not in missing and not replied:
                    replied = time.perf_counter() - started
        return replied

    def flood(self, count: int, size: int, together: int = 1) -> float:
        """Have ``count`` messages of ``size`` bytes sent; return the seconds until all are here.

        For synthetic gateways. Raises Lost. Reads the socket itself, which websocket-client
        leaves at the end of a frame.
        """
        sock = self.ws.sock
        assert sock is not None  # for the type checker
        sock.settimeout(FLOOD_PATIENCE)
        view = memoryview(bytearray(READ_AT_ONCE))
        counter = FrameCounter()
        started = time.perf_counter()
        self.start(json.dumps({"count": count, "size": size, "together": together}))
        while counter.frames < count or not counter.between_frames:
            try:
                received = sock.recv_into(view)
                pings = counter.feed(view[:received])
            except OSError as error:
                raise Lost(str(error)) from None
            if not received:
                raise Lost("closed")
            for payload in pings:
                self.ws.pong(payload)
        return time.perf_counter() - started

    def close(self) -> None:
        """Leave, whatever state the connection is in."""
        with contextlib.suppress(OSError, WebSocketException):
            self.ws.close(timeout=1)
