"""The embedded gateway: a Jupyter Server for kernels only, on this computer.

``supervisor`` runs in the notebook server, and starts the process in ``server`` with the options of
``kernel_config``. ``lease`` is the protocol by which each proves that it knows the token.
"""
