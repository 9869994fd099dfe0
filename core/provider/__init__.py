"""The provider's API as data: wire format, accounts, models, result links; no I/O."""
