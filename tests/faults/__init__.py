"""Faults of the provider, and what becomes of the jobs that meet them."""
