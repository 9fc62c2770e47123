"""Judges other than waveforms: trained models that recognise words, talkers, quality and emotion.

Each module registers metrics, as those of `evalsuite.metrics` do; they are on by name alone. A
judge is loaded once in each process, from weights inside its package whose SHA-256 is pinned here,
and never from a network. `docs/judges.md` defines every column and says what its judge cannot see.
"""
