"""Reproducible mixture sets for audio source separation: index, draw, render, verify, export.

Public names are imported when they are first used, so importing the package is quick and loads
neither Scaper nor torch. `__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
