"""The commands `demo` and `up`."""
