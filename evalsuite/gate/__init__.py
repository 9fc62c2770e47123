"""The gate: whether a new checkpoint got worse, or is better."""
