"""Separators of the literature behind one interface.

Public names are imported when they are first used, so importing the package does not load torch.
`__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
