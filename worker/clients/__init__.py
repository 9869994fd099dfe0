"""Clients of the provider, its delivery hosts and callers' receivers."""
