"""Judges the evidence and reports the verdict."""
