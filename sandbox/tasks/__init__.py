"""Tasks, their results, the ledger, and what is kept over a restart."""
