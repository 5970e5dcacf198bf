"""The embedded gateway: a Jupyter Server for kernels only, on this computer.

``supervisor`` is the notebook server's side, ``server`` is the process that it starts, and
``lease`` is how each proves to the other that it knows the token.
"""
