"""Tests: unit, contract (one outside system each), http (the public API), e2e and crash."""
