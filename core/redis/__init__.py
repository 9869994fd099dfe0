"""Jobs in Redis: the scripts, who runs them, and how a write reaches the disk."""
