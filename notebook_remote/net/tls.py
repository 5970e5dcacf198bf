"""TLS towards a gateway, whose records are taken many at a time.

A gateway's messages come as a record each, or some few. tornado's own stream goes through all of
itself for every single record, which costs more than to decrypt one.
"""

from __future__ import annotations

import ssl

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError


class TLSStream(SSLIOStream):
    """tornado's TLS stream, which reads all records that are here as if they were one."""

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Fill the buffer with as many records as are here; called by tornado."""
        read = super().read_from_fd(buf)
        if not read:
            return read
        with memoryview(buf) as view:
            while read < len(view):
                try:
                    more = self.socket.recv_into(view[read:])
                except OSError:  # no more for now, or an end that the next call meets again
                    break
                if not more:
                    break
                read += more
        return read


async def start_tls(stream: IOStream, context: ssl.SSLContext, host: str) -> TLSStream:
    """Begin TLS on a connection to ``host``. Raises OSError or StreamClosedError.

    As ``IOStream.start_tls`` does, which makes tornado's own kind of stream.
    """
    if stream.closed():  # by the other side, at once
        raise StreamClosedError(stream.error)
    with stream.socket.dup() as sock:
        stream.close()
        wrapped = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    secure = TLSStream(wrapped, ssl_options=context)
    try:
        await secure.wait_for_handshake()
    except BaseException:
        secure.close()
        raise
    return secure
