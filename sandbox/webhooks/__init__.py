"""Webhooks and their delivery."""
