"""Signatures, and the addresses that may be called; no I/O."""
