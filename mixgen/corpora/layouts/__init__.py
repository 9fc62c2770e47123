"""Corpus layouts, one module each; every module in this folder is collected."""
