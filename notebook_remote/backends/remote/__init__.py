"""The backend of a gateway that this server contacts: its kernels, kernelspecs and links.

``backend`` is the backend itself, over ``gateway``, the connection with what belongs to it.
``multikernel_manager`` manages the kernels, with ``starts`` (starting and aborting) and ``polling``
(their state, and which are gone); ``kernel_manager`` is one kernel. ``links`` has the state of the
pages' channels, which ``metrics`` counts, and ``kernelspecs`` lists the kernelspecs.
"""
