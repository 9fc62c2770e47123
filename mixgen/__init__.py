"""Reproducible mixture sets for audio source separation: index, draw, render, verify, export."""

__version__ = "0.1.0"
