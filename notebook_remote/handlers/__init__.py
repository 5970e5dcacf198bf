"""The HTTP and WebSocket routes of our server; ``routes`` lists every URL."""
