"""Audio on disk: layouts of corpora, the list of sources, and where their roots are."""
