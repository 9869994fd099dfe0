"""The actors of a run: callers, the killer, the decoy."""
