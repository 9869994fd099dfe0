"""Reads request bodies: size limits, strict JSON, large images and videos into files."""
