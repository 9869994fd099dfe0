"""What the client says and understands, without any I/O: requests, answers, retries, events."""
