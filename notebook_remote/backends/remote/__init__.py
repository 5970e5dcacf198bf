"""The kernels, kernelspecs, links and metrics of one gateway, as this server manages them."""
