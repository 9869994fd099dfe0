"""Request bodies: fields, models, and validation as the provider does it."""
