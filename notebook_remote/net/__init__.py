"""WebSocket frames, byte streams, TCP, TLS and proxies: nothing of Jupyter, and nothing of ours."""
