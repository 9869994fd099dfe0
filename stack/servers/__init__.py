"""The processes of the stack, and their supervision."""
