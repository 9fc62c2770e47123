"""Corpora on disk: their layouts, the list of their files (sources.csv) and their root folders."""
