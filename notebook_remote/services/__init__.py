"""jupyter_server's managers over all backends.

``kernel_manager``, ``kernelspec_manager`` and ``session_manager`` are what the handlers call,
``notebook_metadata`` translates kernelspec names between a notebook's file and its page, and
``server_clients`` has kernel clients for programs within our server.
"""
