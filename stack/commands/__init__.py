"""`demo` and `up`."""
