"""The doctor examines a gateway; it shares nothing with our client, whose errors it can find.

``examination`` runs the checks of the package ``checks`` one after another. They are functions of a
``context``, which has the ``transport`` (sockets, REST, WebSockets), the kernel's ``channels`` and
earlier results. ``findings`` are what the checks return.
"""
