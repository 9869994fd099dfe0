"""Everything FluxRelay needs, started and watched on one machine without Docker or root."""
