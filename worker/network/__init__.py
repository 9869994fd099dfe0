"""Outgoing HTTP: address rules at connect time, name look-ups, proxies."""
