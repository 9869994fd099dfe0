"""Tasks, their results, the ledger, and their persistence across restarts."""
