"""Endpoints of the native API, the webhook receiver, health and metrics."""
