"""A client that connects to a kernel, loses it and comes back exactly as JupyterLab's page does.

After ``KernelConnection`` and ``KernelManager`` of @jupyterlab/services 4.6 (``kernel/default.ts``,
``kernel/manager.ts``), whose names are in brackets here:

- the ``session_id`` stays the same over all connections (clientId);
- a socket that ends is opened again, at once and then after random pauses of up to 1, 3, 7, 15, 31
  and 63 s (_reconnect); after the seventh attempt, or a close code of 1000 or 1001, the status is
  ``disconnected`` and stays so;
- a handshake that is refused makes it ask for the kernel's model (earlyClose): 503, 424 or no
  answer at all means asking again in 10 to 30 s, 200 and 404 an attempt more, anything else that
  the kernel is dead;
- every 10 s, less often after failures, it asks for all kernels (KernelManager's poll), and one
  that is not among them is dead;
- what is sent while there is no connection is kept, and sent in order 3 s after connecting, or
  with the reply to a kernel_info_request if that came sooner (_pendingMessages; the page's own
  kernel_info_request stands behind what is kept, except on its first connection).

What the page does not do, this does not do either: it sends no pings, notices no silence, and what
was sent on a socket that turns out to be dead is not sent again. Pings are answered whatever a
test is doing, as by a browser's network process. Restarts of the kernel are not followed here.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
import websocket
from jupyter_client.session import Session

from .servers import PATIENCE, V1, Channels, Server

RECONNECT_LIMIT = 7
ASK_AGAIN = (10.0, 30.0)  # seconds
POLL, SLOWEST_POLL = 10.0, 300.0  # seconds
KERNEL_INFO_TIMEOUT = 3.0  # seconds
HANDSHAKE_TIMEOUT = 240.0  # seconds; Chromium's
NOT_NOW = (0, 424, 503)  # HTTP statuses that say nothing about the kernel; 0 is no answer
FAILED = (websocket.WebSocketException, OSError)


@dataclass(frozen=True)
class Closing:
    """The end of a socket that had been open."""

    at: float  # time.monotonic()
    code: int | None  # None without a close frame: 1006 in the page


class Outbox:
    """What stands for the WebSocket in a Channels: the one that is open, or a queue for later."""

    def __init__(self) -> None:
        self.socket: websocket.WebSocket | None = None
        self.pending: list[bytes] = []
        self.ahead = False  # whether to send before what waits
        self._lock = threading.RLock()

    def send_binary(self, message: bytes) -> None:
        """Send it, or keep it while there is no socket, or something waits already."""
        with self._lock:
            if self.socket is None or (self.pending and not self.ahead):
                self.pending.append(message)
            else:
                self._send(self.socket, message)

    def flush(self) -> None:
        """Send what waits."""
        with self._lock:
            while self.socket is not None and self.pending:
                self._send(self.socket, self.pending.pop(0))

    def _send(self, sock: websocket.WebSocket, message: bytes) -> None:
        with contextlib.suppress(*FAILED):  # a browser does not tell either
            sock.send_binary(message)

    def recv_data(self) -> tuple[int, bytes]:
        """The next message; pings before it have been answered."""
        sock = self.socket
        if sock is None:
            raise websocket.WebSocketConnectionClosedException("closed here")
        return sock.recv_data()

    def end(self) -> None:
        """Forget the socket, and wake whoever reads from it or stands in a write."""
        sock = self.socket
        if sock is None:
            return
        with contextlib.suppress(*FAILED):
            sock.abort()
        with self._lock:
            self.socket = None
            sock.shutdown()


class KernelConnection(Channels):
    """A page's connection to a kernel. ``scale`` shortens all of the page's pauses.

    ``status`` is connecting, connected, disconnected or dead; ``openings`` (monotonic times) and
    ``closings`` say when sockets have opened and ended.
    """

    def __init__(
        self,
        server: Server,
        kernel_id: str,
        scale: float = 1.0,
        handshake_timeout: float = HANDSHAKE_TIMEOUT,
    ) -> None:
        self.server, self.kernel_id, self.scale = server, kernel_id, scale
        self.session_id = uuid.uuid4().hex
        self.session = Session(key=b"", session=self.session_id, username="page")
        self.ws = Outbox()
        self.v1 = True
        self.greeted = True  # it greets at each connection, as JupyterLab does
        self.close_code: int | None = None
        self.status = "connecting"
        self.openings: list[float] = []
        self.closings: list[Closing] = []
        self._handshake_timeout = handshake_timeout
        self._received: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._kernel_info = ""  # the msg_id of the last request
        self._attempts = 0
        self._changed = threading.Condition()
        self._disposed = threading.Event()
        for job in (self._live, self._poll):
            threading.Thread(target=job, name=f"page {job.__name__}", daemon=True).start()

    def close(self) -> None:
        """Close the page."""
        self._disposed.set()
        self.ws.end()

    # -- what a test asks for -------------------------------------------------------------------

    @property
    def reconnects(self) -> int:
        """How often it has come back."""
        return max(len(self.openings) - 1, 0)

    def messages(self, msg_id: str) -> list[dict[str, Any]]:
        """What has come so far in answer to a message."""
        with self._changed:
            return list(self._received[msg_id])

    def outputs(self, msg_id: str) -> str:
        """What a cell has printed so far."""
        streams = [m for m in self.messages(msg_id) if m["msg_type"] == "stream"]
        return "".join(m["content"]["text"] for m in streams)

    def messages_until(
        self, msg_id: str, *msg_types: str, patience: float = PATIENCE
    ) -> list[dict[str, Any]]:
        """What has come in answer to a message, once each of these types has."""

        def all_there() -> bool:
            found = self._received[msg_id]
            types = {m["msg_type"] for m in found}
            states = {f"status:{m['content'].get('execution_state')}" for m in found}
            return set(msg_types) <= types | states

        self.wait(f"{msg_types} in answer to a message", all_there, patience)
        return self.messages(msg_id)

    def wait_status(self, *statuses: str, patience: float = PATIENCE) -> str:
        """Wait until the status is one of these."""
        self.wait(" or ".join(statuses), lambda: self.status in statuses, patience)
        return self.status

    def wait_closing(self, number: int = 1, patience: float = PATIENCE) -> Closing:
        """Wait until so many sockets have ended; return the last of them."""
        self.wait(f"end of socket {number}", lambda: len(self.closings) >= number, patience)
        return self.closings[number - 1]

    def wait(self, what: str, condition: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Wait for something that changes with the status or with what comes."""
        with self._changed:
            came = self._changed.wait_for(condition, patience)
        state = f"status {self.status}, opened {len(self.openings)}, closings {self.closings}"
        assert came, f"waited {patience} s in vain for: {what}; {state}"

    # -- the page -------------------------------------------------------------------------------

    def _live(self) -> None:
        while not self._disposed.is_set():
            if self._open():
                self._read()
                if self.close_code in (1000, 1001):
                    self._set("disconnected")
                    return
            elif not self._kernel_may_live():
                self._die()
                return
            if self._attempts == RECONNECT_LIMIT:
                self._set("disconnected")
                return
            pause = random.uniform(0, 2**self._attempts - 1)
            self._attempts += 1
            self._disposed.wait(pause * self.scale)

    def _open(self) -> bool:
        base = "ws" + self.server.url.removeprefix("http")
        try:
            opened = websocket.create_connection(
                f"{base}/api/kernels/{self.kernel_id}/channels?session_id={self.session_id}",
                header=[f"Authorization: token {self.server.token}"],
                subprotocols=[V1],
                timeout=self._handshake_timeout,
            )
        except FAILED:
            return False
        assert opened.getsubprotocol() == V1
        opened.settimeout(None)
        self._attempts = 0
        self.ws.socket = opened
        if self._disposed.is_set():
            self.ws.end()
            return False
        with self._changed:
            self.openings.append(time.monotonic())
        self._set("connected")
        self.ws.ahead = not any(self._received.values())
        self._kernel_info = self.send("shell", "kernel_info_request", {})
        self.ws.ahead = False
        timer = threading.Timer(KERNEL_INFO_TIMEOUT * self.scale, self.ws.flush)
        timer.daemon = True
        timer.start()
        return True

    def _read(self) -> None:
        self.close_code = None
        with contextlib.suppress(*FAILED):
            while True:
                message = self.read()
                parent = message["parent_header"].get("msg_id", "")
                with self._changed:
                    self._received[parent].append(message)
                    self._changed.notify_all()
                if parent == self._kernel_info and message["msg_type"] == "kernel_info_reply":
                    self.ws.flush()
        self.ws.end()
        with self._changed:
            self.closings.append(Closing(time.monotonic(), self.close_code))
        self._set("connecting")

    def _kernel_may_live(self) -> bool:
        while not self._disposed.is_set():
            status, model = self._ask(f"/api/kernels/{self.kernel_id}")
            if status not in NOT_NOW:
                dead = status == 200 and model.get("execution_state") == "dead"
                return status in (200, 404) and not dead
            self._disposed.wait(random.uniform(*ASK_AGAIN) * self.scale)
        return True

    def _poll(self) -> None:
        pause = POLL
        while not self._disposed.wait(pause * self.scale):
            status, kernels = self._ask("/api/kernels")
            pause = POLL if status == 200 else min(3 * pause, SLOWEST_POLL)
            if status == 200 and all(kernel["id"] != self.kernel_id for kernel in kernels):
                self._die()

    def _ask(self, path: str) -> tuple[int, Any]:
        try:
            answer = self.server.get(path)
        except requests.RequestException:
            return 0, None
        return answer.status_code, answer.json() if answer.status_code == 200 else None

    def _set(self, status: str) -> None:
        with self._changed:
            if self.status != "dead":
                self.status = status
            self._changed.notify_all()

    def _die(self) -> None:
        self._set("dead")
        self.close()
