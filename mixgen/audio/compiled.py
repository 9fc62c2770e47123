"""Whether loops over samples run compiled: with the extra `fast`, which installs numba.

Both ways give the same integers in every file. NUMBA_DISABLE_JIT=1 turns compiled loops off.
"""

import functools
import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any


@functools.cache
def kernels() -> Any:
    """Return the module `mixgen.audio.kernels`, compiled; None without numba.

    It is loaded here and not before, because that takes longer than a short command.
    """
    if find_spec("numba") is None or os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return None
    return import_module("mixgen.audio.kernels")
