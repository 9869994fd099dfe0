"""Image files: what they are and where they end."""
