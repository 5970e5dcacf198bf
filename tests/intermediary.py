"""A TCP intermediary between real processes: records what passes, and cuts the link."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading


class Intermediary:
    """Listens on a random port of loopback and forwards every connection to ``port``.

    ``rewrite`` replaces bytes in what the gateway answers.
    """

    def __init__(self, port: int, rewrite: tuple[bytes, bytes] = (b"", b"")) -> None:
        self.target = port
        self.rewrite = rewrite if rewrite[0] else (b"\0no such bytes\0", b"")
        self.to_gateway = bytearray()
        self.to_server = bytearray()
        self.accepted = 0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://localhost:{self.port}"
        threading.Thread(target=self._accept, name="intermediary", daemon=True).start()

    def __enter__(self) -> Intermediary:
        return self

    def __exit__(self, *args: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self, reset: bool = False) -> None:
        """Close all connections now, politely or with a reset."""
        pairs, self._pairs = self._pairs, []
        for sock in [s for pair in pairs for s in pair]:
            with contextlib.suppress(OSError):
                if reset:
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                # Wakes the pump that reads from it; a close alone would wait for it.
                sock.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
                sock.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self._pairs.append((near, far))
            for source, sink, record in (
                (near, far, self.to_gateway),
                (far, near, self.to_server),
            ):
                thread = threading.Thread(target=self._pump, args=(source, sink, record))
                thread.daemon = True
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, record: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if record is self.to_server:
                    data = data.replace(*self.rewrite)
                record += data
                sink.sendall(data)
        if any(source in pair for pair in self._pairs):  # not cut: one end closed by itself
            for sock in (source, sink):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        source.close()  # the other pump closes the other one
