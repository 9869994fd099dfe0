"""Terminal output of the stack."""
