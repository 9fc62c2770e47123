"""The hardware and the library versions that scores were computed with."""

import os
import platform
from pathlib import Path

from evalsuite.metrics.metric import installed_version
from mixgen.core.versions import __version__
from mixgen.core.workers import default_workers

_LIBRARIES = ("numpy", "scipy", "soundfile", "soxr", "pesq")


def hardware(*, workers: int) -> dict[str, str | int]:
    """Return the processor, its cores, and the number of processes and threads of a run."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # one number for each level
    threads = int(given) if given.isdecimal() else default_workers()
    return {
        "cpu": _processor_name(),
        "cores": default_workers(),
        "system": platform.system(),
        "workers": workers,
        "threads": threads if workers == 1 else 1,
    }


def versions() -> dict[str, str]:
    """Return the versions of the libraries that scores depend on."""
    suite = {"separation-suite": __version__, "python": platform.python_version()}
    return suite | {name: installed_version(name) for name in _LIBRARIES}


def _processor_name() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
