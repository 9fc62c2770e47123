"""The manifest file: one header line, then one record per mixture."""

import functools
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from mixgen.core.errors import InputError
from mixgen.core.files import read_lines, sha256_file, write_jsonl
from mixgen.core.records import Record, read_header, read_records
from mixgen.core.vocabulary import FormatName
from mixgen.manifest.mixture import Mixture

SCHEMA = "manifest/1"


class Header(Record):
    """The first line of a manifest: where the records come from."""

    schema_: str = Field(alias="schema", default=SCHEMA)
    name: str
    task: str
    format: FormatName
    recipe_sha256: str
    sources_sha256: str
    seed: int
    created_by: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data under the names used in the file."""
        return self.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True)
class ManifestFile:
    """A manifest on disk: its header, its hash, and its mixtures, read and checked one at a time.

    Every iteration reads the file again. It raises InputError where a record is not valid or an id
    comes back; the line or the mixture is named.
    """

    path: Path
    header: Header
    sha256: str

    def __iter__(self) -> Iterator[Mixture]:
        """Yield the mixtures in the order of the file."""
        hashes = array("q")  # 8 bytes for an id: there may be millions
        for mixture in read_records(self.path, Mixture):
            hashes.append(hash(mixture.id.lower()))
            _check_mixture(self.path, mixture)
            yield mixture
        ordered = np.sort(hashes)
        if (ordered[1:] == ordered[:-1]).any():
            self._check_ids()

    def _check_ids(self) -> None:
        seen: set[str] = set()
        for mixture in read_records(self.path, Mixture):
            # Two ids that differ in case alone are one folder on some file systems.
            if mixture.id.lower() in seen:
                raise InputError(f"{self.path} holds the mixture id {mixture.id!r} twice.")
            seen.add(mixture.id.lower())

    def count(self) -> int:
        """Return how many mixtures there are, without reading what they are."""
        return sum(1 for _ in read_lines(self.path)) - 1


@dataclass(frozen=True)
class Manifest:
    """A header and its mixtures, and the hash of the file that they stand in."""

    header: Header
    mixtures: list[Mixture]
    sha256: str

    @functools.cached_property
    def by_id(self) -> dict[str, Mixture]:
        """The mixtures under their ids."""
        return {mixture.id: mixture for mixture in self.mixtures}

    def of_split(self, split: str | None) -> list[Mixture]:
        """Return the mixtures of one split, or all of them.

        Raises:
            InputError: the manifest has no such split.
        """
        if split is None:
            return self.mixtures
        chosen = [mixture for mixture in self.mixtures if mixture.split == split]
        if not chosen:
            known = ", ".join(dict.fromkeys(mixture.split for mixture in self.mixtures))
            raise InputError(f"The manifest has no split {split!r}: choose one of {known}.")
        return chosen


def write_manifest(path: Path, header: Header, mixtures: Iterable[Mixture]) -> None:
    """Write a manifest atomically, one line of strict JSON per record."""

    def rows() -> Iterator[dict[str, Any]]:
        yield header.as_dict()
        for mixture in mixtures:
            yield mixture.as_dict()

    write_jsonl(path, rows())


def open_manifest(path: Path) -> ManifestFile:
    """Open a manifest of any length: its header is read now, its mixtures as they are asked for.

    Raises:
        InputError: the file is missing, of another schema, or its header is not valid.
    """
    header = read_header(path, Header)
    if header.schema_ != SCHEMA:
        raise InputError(f"{path} has schema {header.schema_!r}; this version reads {SCHEMA!r}.")
    return ManifestFile(path, header, sha256_file(path))


def read_manifest(path: Path) -> Manifest:
    """Read and check a whole manifest.

    Raises:
        InputError: the file is missing, of another schema, or a record is not valid; the line is
            named.
    """
    manifest = open_manifest(path)
    return Manifest(manifest.header, list(manifest), manifest.sha256)


def _check_mixture(path: Path, mixture: Mixture) -> None:
    if mixture.room is None and any(source.room for source in mixture.sources):
        raise InputError(f"{path}: mixture {mixture.id} has sources in a room, and no room.")
    names = [name.lower() for name in mixture.file_names]
    if len(set(names)) < len(names):
        raise InputError(f"{path}: mixture {mixture.id} has two sources or references of one name.")
    heard = {name for source in mixture.sources for name in source.heard_names}
    unknown = set(mixture.targets) - heard
    if unknown:
        raise InputError(f"{path}: mixture {mixture.id} has no source {sorted(unknown)[0]!r}.")
    longest_s = mixture.duration_s + 1 / mixture.sample_rate
    for source in mixture.sources:
        # A background is repeated to its event_duration, so this bounds the memory it takes.
        if source.role == "background" and any(e.event_duration > longest_s for e in source.events):
            raise InputError(
                f"{path}: the event_duration of background {source.name!r} of mixture {mixture.id} "
                "is longer than the mixture."
            )
