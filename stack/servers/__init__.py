"""The processes of the stack, and what keeps them running."""
