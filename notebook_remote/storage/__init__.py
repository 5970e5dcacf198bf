"""State that outlives the process: sessions, kernels, and the gateways that users added.

``session_store`` holds sessions and kernels in memory, ``session_writer`` writes changes to a
``session_file``, and ``saved_gateways`` stores gateways and their credentials.
"""
