"""A TLS stream that reads many records at once.

A gateway sends one message, or a few, in each TLS record. tornado's own stream processes one record
per read, which costs more than to decrypt it.
"""

from __future__ import annotations

import ssl

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError


class TLSStream(SSLIOStream):
    """tornado's TLS stream, which reads all records that have arrived at once."""

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Fill the buffer from all records that have arrived; called by tornado."""
        read = super().read_from_fd(buf)
        if not read:
            return read
        with memoryview(buf) as view:
            while read < len(view):
                try:
                    more = self.socket.recv_into(view[read:])
                except OSError:  # no more data, or an error that the next call raises again
                    break
                if not more:
                    break
                read += more
        return read


async def start_tls(stream: IOStream, context: ssl.SSLContext, host: str) -> TLSStream:
    """Start TLS on a connection to ``host``, as ``IOStream.start_tls`` with a TLSStream.

    Raises OSError or StreamClosedError.
    """
    if stream.closed():  # by the peer, at once
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
