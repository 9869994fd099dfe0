"""Kills everything while jobs run, and has others' books say whether a promise was broken."""
