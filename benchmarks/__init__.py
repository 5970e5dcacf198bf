"""Benchmarks of notebook-remote, side by side with its alternatives; README.md explains them.

- ``__main__`` runs ``latency``, ``throughput``, ``scale`` and ``rest`` in rounds; ``outages`` is a
  command of its own.
- ``workload`` has the numbers of a round and what a round measures; ``goals`` has the panels and
  their goals; ``results``, ``report`` and ``chart`` summarize, print and draw.
- ``servers`` and ``synthetic_gateway`` are the processes that are measured, ``page`` and
  ``frame_counter`` the client; ``meter`` and ``machine`` read the operating system.
"""
