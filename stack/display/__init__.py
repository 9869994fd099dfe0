"""What the stack shows on a terminal."""
