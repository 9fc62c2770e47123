"""Layers and transforms that several models share."""
