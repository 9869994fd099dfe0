"""Who takes part in a run: callers, the killer, the decoy."""
