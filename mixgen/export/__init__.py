"""Exports of manifests to the formats of other programs, one module for each format."""
