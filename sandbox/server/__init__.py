"""Connections and how answers go out."""
