"""What the callbacks of jobs and batches share, and that of a job under way."""
