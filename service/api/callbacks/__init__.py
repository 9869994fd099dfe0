"""The endpoints of many callbacks at once: their attempts, replay, and a test."""
