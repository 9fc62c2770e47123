"""Exporters, which the modules of this package register."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixgen.core.registry import collect
from mixgen.corpora.roots import Roots
from mixgen.manifest.mixture import Mixture


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A format of another program.

    Attributes:
        name: the name by which users choose it, and the name of its module.
        summary: what it writes, in a few words.
        write: (file or folder to write, mixtures, corpus roots) -> a sentence about what it wrote.
            Raises InputError if the format cannot hold a mixture.
    """

    name: str
    summary: str
    write: Callable[[Path, Sequence[Mixture], Roots], str]


@functools.cache
def exporters() -> dict[str, Exporter]:
    """Return all exporters by name."""
    return collect("mixgen.export", Exporter)
