"""What outlives the process: sessions and kernels, and the gateways that users added."""
