"""Rendered sets, compared with what is recorded of them."""
