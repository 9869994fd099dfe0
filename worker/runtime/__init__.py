"""What runs steps: the RQ worker, its bookkeeping, the sweep, and the wiring."""
