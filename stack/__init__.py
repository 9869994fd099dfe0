"""Starts and supervises everything that FluxRelay needs, on one machine, without Docker or root."""
