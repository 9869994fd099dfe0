"""HTTP clients for the provider, its delivery hosts and callback receivers."""
