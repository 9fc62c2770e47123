"""Scenes that Scaper draws, and the distributions and seeds that it draws them from."""
