"""The doctor's checks, as functions of a ``Context``, in the order in which they run.

``network`` checks the way to a gateway, ``rest`` its REST API, ``kernel`` a kernel on it, and
``messages`` that kernel's channels. ``local`` examines this computer instead, without a gateway.
"""
