"""The HTTP server: connections, their limits, and graceful shutdown."""
