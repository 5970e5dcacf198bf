"""Where kernels run: gateways, this computer, and gateways that pages use by themselves.

``base`` is what all of them have in common, ``local`` and ``browser`` are two of them and
``remote`` is a package for the third; ``registry`` has those of a server, and ``manager`` makes,
starts, changes and stops them.
"""
