"""What answers at a gateway's address and is none, or not always: made answers, else the real ones.

It forwards REST requests to a real gateway, if it stands before one, but for those that a test has
an answer of its own for. WebSockets do not go through it.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from .servers import Server, free_port

# Method and path -> status and body (bytes as they are, else as JSON), or None to forward it.
Answers = Callable[[str, str], "tuple[int, Any] | None"]


class OddGateway:
    """Its ``answers`` may be changed while it runs; ``asked`` has every request."""

    def __init__(self, answers: Answers, upstream: Server | None = None) -> None:
        self.answers, self.upstream = answers, upstream
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(size)
                outer.asked.append(f"{self.command} {self.path}")
                answer = outer.answers(self.command, self.path)
                status, content, kind = outer._content(answer, self, body)
                with contextlib.suppress(OSError):  # who asked has left
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    if isinstance(content, bytes):
                        self.send_header("Content-Length", str(len(content)))
                        self.end_headers()
                        self.wfile.write(content)
                        return
                    self.send_header("Connection", "close")
                    self.end_headers()
                    for piece in content:  # without end, or slowly
                        self.wfile.write(piece)

            do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the library's names

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> OddGateway:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _content(
        self, answer: tuple[int, Any] | None, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, bytes | Iterator[bytes], str]:
        if answer is not None:
            status, content = answer
            raw = isinstance(content, (bytes, Iterator))
            return status, content if raw else json.dumps(content).encode(), "application/json"
        if self.upstream is None:
            return 404, b"nothing here", "text/plain"
        headers = {"Authorization": f"token {self.upstream.token}"}
        if body:
            headers["Content-Type"] = "application/json"
        found = requests.request(
            request.command,
            self.upstream.url + request.path,
            data=body or None,
            headers=headers,
            timeout=40,
        )
        return found.status_code, found.content, found.headers.get("Content-Type", "text/plain")
