"""Load, and what processes and Redis cost meanwhile."""
