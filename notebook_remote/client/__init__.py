"""The client of one gateway: credentials, REST API, and kernels' WebSockets.

Both the notebook server and runs without a page use it. ``connection`` puts the parts together:
``auth``, ``address`` and ``rest``, which builds on ``http_client`` and ``transport``. ``channels``
opens a kernel's WebSocket; ``handshakes`` allows one at a time for each page. ``messages`` encodes
and decodes kernels' messages, ``models`` checks what gateways answer, ``errors`` maps failures to
GatewayErrors, and ``scheme_check`` finds out when http was written in place of https.
"""
