"""Network protocols below Jupyter's: imports nothing of Jupyter, and none of our other packages.

``frames`` reads and writes WebSocket frames; ``relay`` passes them between a browser and a gateway,
each of which is a ``leg``; ``coalescing`` lets the relay read many small messages at once. ``tcp``,
``tls_stream`` and ``http_proxy`` make and tune the connections; ``urls`` normalizes addresses, and
``host`` identifies this computer.
"""
