"""Workarounds for faults of jupyter_server, which the patches in ``patches/`` fix.

``signals`` makes a server stop in an orderly way, ``local_kernels`` and ``local_channels`` are for
kernels on this computer, and ``notebook_locks`` keeps a notebook from being read while it is
written.
"""
