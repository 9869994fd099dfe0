"""One module per scenario; each has `run(context)`, which returns its outcome."""
