"""The routes: the provider's own, downloads, and the admin routes."""
