"""What other people use, each run unmodified in its own virtual environment."""
