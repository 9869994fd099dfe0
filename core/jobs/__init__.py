"""The job record, its state machine, and how a job looks from outside; no I/O."""
