"""Backends, the places where kernels run: gateways and this computer.

``base`` has the abstract base class of all backends. The package ``remote`` has the backend of a
gateway that this server contacts, ``local`` that of this computer, and ``browser`` that of a
gateway which only pages contact. ``registry`` holds the backends of a server, and ``manager``
makes, starts, changes and stops them.
"""
