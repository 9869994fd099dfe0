"""What was found: statistics, plots, pages and verdicts."""
