"""The doctor's side of a kernel's channels: messages as Jupyter defines them, on a WebSocket."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from itertools import pairwise
from typing import Any

import websocket

V1 = "v1.kernel.websocket.jupyter.org"
NAMES = ("header", "parent_header", "metadata", "content")
Message = dict[str, Any]


class Closed(Exception):
    """The other side closed the WebSocket; ``code`` is its close code, 0 without one."""

    def __init__(self, code: int = 0) -> None:
        super().__init__(f"closed by the other side (code {code})" if code else "it broke off")
        self.code = code


class Channels:
    """An open WebSocket to a kernel. Every wait ends with TimeoutError after ``limit`` seconds."""

    def __init__(self, ws: websocket.WebSocket, session_id: str, limit: float) -> None:
        self.ws, self.session_id, self.limit = ws, session_id, limit
        self.subprotocol = str((ws.headers or {}).get("sec-websocket-protocol", ""))
        self.v1 = self.subprotocol == V1

    def close(self) -> None:
        """Close the WebSocket, and wait a second at most for the other side's close frame."""
        try:
            self.ws.close(timeout=1)
        except (OSError, websocket.WebSocketException):
            pass
        finally:
            self.ws.shutdown()  # type: ignore[no-untyped-call]

    # -- sending ----------------------------------------------------------------------------------

    def send(self, msg_type: str, content: dict[str, Any], buffers: tuple[bytes, ...] = ()) -> str:
        """Send a message on the shell channel and return its id. Raises Closed, TimeoutError."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": msg_type,
            "session": self.session_id,
            "username": "doctor",
            "date": datetime.now(timezone.utc).isoformat(),
            "version": "5.3",
        }
        parts = [header, {}, {}, content]
        self.ws.settimeout(self.limit)
        try:
            if self.v1:
                self.ws.send_binary(encode_v1([b"shell", *map(as_json, parts), *buffers]))
            else:
                whole = dict(zip(NAMES, parts, strict=True)) | {"channel": "shell", "buffers": []}
                self.ws.send(as_json(whole).decode())
        except websocket.WebSocketTimeoutException:
            raise TimeoutError("the message did not get through in time") from None
        except (OSError, websocket.WebSocketException):
            raise Closed(self._close_code()) from None
        return header["msg_id"]

    def _close_code(self) -> int:
        """The close code that arrived while we were sending; 0 without one."""
        try:
            self.ws.settimeout(1)
            for _ in range(100):
                self._frame()
        except Closed as closed:
            return closed.code
        except TimeoutError:
            pass
        return 0

    # -- receiving --------------------------------------------------------------------------------

    def messages(self, parent: str = "") -> Iterator[Message]:
        """Yield messages, or only those with this parent. Raises Closed, TimeoutError."""
        deadline = time.monotonic() + self.limit
        while True:
            self._set_timeout(deadline)
            opcode, data = self._frame()
            if opcode not in (websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_TEXT):
                continue
            message = decode(data, opcode)
            if message and (not parent or message["parent_header"].get("msg_id") == parent):
                yield message

    def _set_timeout(self, deadline: float) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError(f"no answer within {self.limit:.0f} s")
        self.ws.settimeout(remaining)

    def _frame(self) -> tuple[int, bytes]:
        try:
            opcode, frame = self.ws.recv_data_frame(control_frame=True)
        except (websocket.WebSocketTimeoutException, TimeoutError):
            raise TimeoutError(f"no answer within {self.limit:.0f} s") from None
        except (OSError, websocket.WebSocketException):
            raise Closed from None
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise Closed(int.from_bytes(frame.data[:2], "big"))
        data = frame.data if isinstance(frame.data, bytes) else str(frame.data).encode()
        return opcode, data

    def first(self, parent: str, matches: Callable[[Message], bool]) -> Message:
        """The first matching answer to a message. Raises Closed, TimeoutError."""
        return next(message for message in self.messages(parent) if matches(message))

    def request(self, msg_type: str, content: dict[str, Any]) -> Message:
        """Send a request and return its reply. Raises Closed, TimeoutError."""
        reply = msg_type.replace("_request", "_reply")
        return self.first(self.send(msg_type, content), lambda m: kind_of(m) == reply)

    def run(self, code: str) -> tuple[Message, list[Message]]:
        """Run code; return the reply and all messages. Raises as ``request``."""
        content = {
            "code": code,
            "silent": False,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        reply, idle, others = None, False, []
        for message in self.messages(self.send("execute_request", content)):
            if kind_of(message) == "execute_reply":
                reply = message
            others.append(message)
            idle = idle or message["content"].get("execution_state") == "idle"
            if reply is not None and idle:
                break
        return reply or {}, others

    # -- control frames -------------------------------------------------------------------------

    def ping(self) -> float:
        """Send a ping; return the seconds until its pong. Raises Closed, TimeoutError."""
        payload = uuid.uuid4().bytes
        started = time.monotonic()
        try:
            self.ws.ping(payload)
        except (OSError, websocket.WebSocketException):
            raise Closed from None
        while True:
            self._set_timeout(started + self.limit)
            opcode, data = self._frame()
            if opcode == websocket.ABNF.OPCODE_PONG and data == payload:
                return time.monotonic() - started

    def be_silent(self, seconds: float) -> None:
        """Send nothing for some time. Raises Closed if the other side closes meanwhile."""
        deadline = time.monotonic() + seconds
        while (remaining := deadline - time.monotonic()) > 0:
            self.ws.settimeout(remaining)
            try:
                self._frame()
            except TimeoutError:
                return


class Comm:
    """A comm to the echo that ``checks.messages.ECHO`` has registered in the kernel."""

    def __init__(self, channels: Channels, target: str) -> None:
        self.channels, self.comm_id = channels, uuid.uuid4().hex
        content = {"comm_id": self.comm_id, "target_name": target, "data": {}}
        channels.first(channels.send("comm_open", content), is_idle)

    def request(self, do: str, *buffers: bytes, **data: Any) -> Message:
        """Send a message and return the comm's answer to it. Raises Closed, TimeoutError."""
        content = {"comm_id": self.comm_id, "data": {"do": do, **data}}
        msg_id = self.channels.send("comm_msg", content, buffers)
        return self.channels.first(msg_id, lambda m: kind_of(m) == "comm_msg")

    def count(self, do: str, **data: Any) -> int:
        """Send a message and return how many answers there were until the kernel was idle."""
        content = {"comm_id": self.comm_id, "data": {"do": do, **data}}
        count = 0
        for message in self.channels.messages(self.channels.send("comm_msg", content)):
            count += kind_of(message) == "comm_msg"
            if is_idle(message):
                break
        return count


def kind_of(message: Message) -> str:
    """A message's type."""
    return str(message["header"].get("msg_type", ""))


def is_idle(message: Message) -> bool:
    """Whether a message says that the kernel has finished a request."""
    return bool(message["content"].get("execution_state") == "idle")


def as_json(part: Any) -> bytes:
    """A part of a message as bytes."""
    return json.dumps(part).encode()


def encode_v1(parts: list[bytes]) -> bytes:
    """A message in v1: a table of offsets and the parts."""
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    table = b"".join(number.to_bytes(8, "little") for number in [len(offsets), *offsets])
    return table + b"".join(parts)


def decode(data: bytes, opcode: int) -> Message | None:
    """Decode a message; None for a malformed one."""
    try:
        if opcode == websocket.ABNF.OPCODE_TEXT:
            whole: Message = json.loads(data)
            return _checked({name: whole[name] for name in NAMES} | {"buffers": []})
        count = int.from_bytes(data[:8], "little")
        if not 6 <= count <= 10_000:
            return None
        offsets = [int.from_bytes(data[8 * i + 8 : 8 * i + 16], "little") for i in range(count)]
        parts = [data[a:b] for a, b in pairwise(offsets)]
        tail = data[offsets[-1] :]  # some gateways leave out the offset of the end
        message = {n: json.loads(p) for n, p in zip(NAMES, parts[1:5], strict=True)}
        return _checked(message | {"buffers": [*parts[5:], *([tail] if tail else [])]})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _checked(message: Message) -> Message | None:
    """The message, with empty objects for null parts; None if a part is no object."""
    message |= {name: message[name] or {} for name in NAMES}
    return message if all(isinstance(message[name], dict) for name in NAMES) else None
