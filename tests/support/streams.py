"""Connected pairs of streams."""

from __future__ import annotations

import asyncio
import socket
import ssl

import trustme
from tornado.iostream import IOStream

from notebook_remote.net.tls_stream import start_tls


async def connected(tls: bool = False) -> tuple[IOStream, IOStream]:
    """Two ends of one TCP connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = IOStream(socket.create_connection(listener.getsockname()))
        far = IOStream(listener.accept()[0])
    if not tls:
        return near, far
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return await asyncio.gather(start_tls(near, client, "localhost"), far.start_tls(True, server))
