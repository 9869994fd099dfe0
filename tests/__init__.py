"""Tests: unit, contract (one outside system each), http (the public face), e2e and crash."""
