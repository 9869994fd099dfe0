"""Endpoints of event streams."""
