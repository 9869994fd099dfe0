"""Processes that die at every line, and what becomes of their work."""
