"""The HTTP and WebSocket routes of our server; ``routes`` lists every URL.

Jupyter's own routes, made safe: ``kernels``, ``sessions``, ``kernelspecs``, ``contents`` and
``channels`` (with ``message_filter``). Our REST API, described in ``openapi.yaml``: ``api`` (the
base), ``backends``, ``own_kernels``, ``endpoints`` and ``examinations``. All have their errors and
bodies from ``base`` and ``bodies``. ``page_config`` is what pages get to know at their load, and
``request_log`` logs requests.
"""
