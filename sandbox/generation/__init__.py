"""From an accepted task to its picture."""
