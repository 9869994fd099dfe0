"""The faults there are, and how they are injected."""
