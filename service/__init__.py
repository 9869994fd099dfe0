"""The public process: HTTP in. It calls no provider and no callback; all slow work is queued."""
