"""Estimates and references in, scores of every mixture out."""
