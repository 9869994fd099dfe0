"""Measures the product beside floors and peers: `python -m benchmarks`."""
