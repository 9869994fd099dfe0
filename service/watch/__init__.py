"""Requests that wait for a job, and streams of events."""
