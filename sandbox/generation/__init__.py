"""Generation of an accepted task's image."""
