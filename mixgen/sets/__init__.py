"""Rendered sets on disk: what is recorded of them, and reading it."""
