"""From a request's body to a job on disk: checks, limits, and the 202."""
