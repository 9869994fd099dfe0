"""Batches: up to thousands of jobs that are accepted, counted, canceled and retried together."""
