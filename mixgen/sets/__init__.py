"""Rendered sets on disk: reading and verifying them."""
