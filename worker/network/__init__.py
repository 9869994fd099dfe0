"""Outgoing HTTP: address rules at connect time, name lookups and proxies."""
