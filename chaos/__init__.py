"""Chaos test: kills every process while jobs run, then judges by independent records."""
