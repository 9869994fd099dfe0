"""Signatures, and rules for addresses that may be called; no I/O."""
