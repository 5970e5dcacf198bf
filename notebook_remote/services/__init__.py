"""jupyter_server's managers, for the kernels, kernelspecs and sessions of all backends."""
