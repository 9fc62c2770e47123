"""Versions of everything that can change a sample."""

import functools
from importlib.metadata import PackageNotFoundError, version

import mixgen

_LIBRARIES = ("scaper", "numpy", "scipy", "soxr", "soundfile", "pyloudnorm", "sox")


@functools.cache
def created_by() -> dict[str, str]:
    """Return the versions that a manifest or rendered set notes."""
    return {"mixgen": mixgen.__version__, **{name: _version(name) for name in _LIBRARIES}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
