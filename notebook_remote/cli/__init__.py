"""The commands beside the server: ``doctor``, ``run`` and ``kernels``."""
