"""The commands beside the server, a module for each: ``doctor``, ``run`` and ``kernels``.

``interrupts`` has them end in an orderly way at Ctrl-C and SIGTERM.
"""
