"""Corpus layouts, one file each; a file that is here is found."""
