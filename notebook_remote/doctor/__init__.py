"""The doctor: a second opinion on a gateway, which shares nothing with our client.

``examination`` runs the checks in ``checks`` one after another, ``transport`` and ``channels`` are
what it talks through, and ``findings`` is what it says.
"""
