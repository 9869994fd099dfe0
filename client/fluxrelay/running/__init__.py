"""Runs flows: once for threads, once for async code. All the I/O is here."""
