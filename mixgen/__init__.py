"""Reproducible mixture sets for audio source separation: index, draw, render, verify, export."""
