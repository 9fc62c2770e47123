"""Training: what it reads, how it is configured, the loop itself."""
