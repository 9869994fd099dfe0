"""Reads request bodies: size limits, strict JSON, large images into files."""
