"""Typed results: frozen dataclasses, each with the JSON that it was made of as `raw`."""
