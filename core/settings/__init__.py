"""All settings of both processes, read once from the environment."""
