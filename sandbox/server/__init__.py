"""Connections, and how answers are sent."""
