"""Versions of everything that can change a sample."""

import functools
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.2.0"

_LIBRARIES = ("scaper", "numpy", "scipy", "soxr", "soundfile", "pyloudnorm", "sox")


@functools.cache
def created_by() -> dict[str, str]:
    """Return the versions that a manifest or rendered set notes."""
    libraries = {name: _version(name) for name in _LIBRARIES}
    import soundfile

    libsndfile = soundfile.__libsndfile_version__
    return {"mixgen": __version__, **libraries, "libsndfile": libsndfile}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
