"""The provider's own API, offered to its clients."""
