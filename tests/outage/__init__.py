"""Outages of what the product needs, and its recovery."""
