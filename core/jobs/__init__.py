"""The job record, its state machine, and its public views; no I/O."""
