"""The product under test, and the provider and receiver around it."""
