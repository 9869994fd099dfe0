"""From a request with many items to a batch on disk."""
