"""Published separators behind one interface.

A public name is imported when it is first used, so that importing the package does not load torch.
`__init__.pyi` lists the names.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
