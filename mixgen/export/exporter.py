"""Exporters, which the modules of this package register."""

import functools
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from mixgen.core.registry import collect
from mixgen.corpora.roots import Roots, find_roots
from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import MANIFEST_FILE

SHARD_BYTES = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Export:
    """What is exported, where to, and by how many processes.

    Attributes:
        source: a manifest.jsonl, or the folder of a rendered set.
        out: file or folder to write.
        split: only this one.
        given_roots: folder of each corpus, where `roots.json` beside the manifest does not have it.
        shard_bytes: size that no archive exceeds, for formats that have archives.
        workers: processes that write, for formats that take long.
        executor: writes on other machines instead; see `mixgen.core.cluster`.
    """

    source: Path
    out: Path
    split: str | None = None
    given_roots: Mapping[str, Path | str] = field(default_factory=dict)
    shard_bytes: int = SHARD_BYTES
    workers: int = 1
    executor: Executor | None = None

    @property
    def manifest(self) -> Path:
        """The manifest.jsonl."""
        return self.source / MANIFEST_FILE if self.source.is_dir() else self.source

    def mixtures(self) -> list[Mixture]:
        """Read the mixtures.

        Raises:
            InputError: the manifest is not valid, or has no such split.
        """
        return read_manifest(self.manifest).of_split(self.split)

    def roots(self) -> Roots:
        """Return the folders of the corpora.

        Raises:
            InputError: as in `find_roots`.
        """
        return find_roots([self.manifest], self.given_roots)


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A format of another program.

    Attributes:
        name: the name by which users choose it, and the name of its module.
        summary: what it writes, in a few words.
        write: writes an export and returns a sentence about what it wrote. Raises InputError if the
            format cannot hold a mixture.
    """

    name: str
    summary: str
    write: Callable[[Export], str]


@functools.cache
def exporters() -> dict[str, Exporter]:
    """Return all exporters by name."""
    return collect("mixgen.export", Exporter)
