"""Layers and transforms that several separators share."""
