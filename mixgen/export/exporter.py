"""What an exporter's file registers."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixgen.core.registry import collect
from mixgen.corpora.roots import Roots
from mixgen.manifest.mixture import Mixture


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """One format of another program.

    Attributes:
        name: as it is asked for; also the name of its file.
        summary: what is written, in a few words.
        write: (file or folder to write, mixtures, corpus roots) -> what was written, as a sentence.
            Raises InputError where the format cannot hold a mixture.
    """

    name: str
    summary: str
    write: Callable[[Path, Sequence[Mixture], Roots], str]


@functools.cache
def exporters() -> dict[str, Exporter]:
    """Return every exporter under its name."""
    return collect("mixgen.export", Exporter)
