"""Results: statistics, plots and explanations of missed goals."""
