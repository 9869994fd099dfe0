"""The command line, of the extra `cli`."""
