"""A corpus that is synthesised on the user's machine: speech, songs and noise under CC0.

`plan` lists all sounds, `speech`, `songs` and `noise` synthesise them, and `corpus.make_starter`
writes them. The corpus is for learning, plumbing and regression tests, not for ranking models.
"""
