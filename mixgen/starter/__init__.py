"""A corpus made on the user's own machine: synthetic speech, songs and noise under CC0.

The plan says what exists, one file per kind of sound makes it, and `corpus.make_starter` writes it.
It is for learning, plumbing and regression, not for ranking models.
"""
