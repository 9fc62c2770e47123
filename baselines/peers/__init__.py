"""Weights of other implementations: reading their files, and turning them into checkpoints."""
