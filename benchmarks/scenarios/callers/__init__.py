"""Scenarios of what callers do besides creating jobs."""
