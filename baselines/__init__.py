"""Separators of the literature behind one interface; importing this package does not load torch."""

from importlib import import_module
from typing import Any

_HOMES = {
    "Separator": "baselines.separator",
    "build": "baselines.registry",
    "names": "baselines.registry",
    "system": "baselines.registry",
}

__all__ = ["Separator", "build", "names", "system"]


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name when the name is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'baselines' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
