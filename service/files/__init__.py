"""Sends files of results from the bucket."""
