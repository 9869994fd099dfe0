"""The HTTP server: connections, their limits, and the order of shutdown."""
