"""The provider's own API, as offered to its clients."""
