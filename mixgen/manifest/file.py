"""The manifest file: one header line, then one record per mixture."""

import functools
import hashlib
import itertools
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from mixgen.core.errors import InputError
from mixgen.core.files import read_lines, sha256_file, stream_jsonl, to_json, write_jsonl
from mixgen.core.records import Record, parse_record, read_header
from mixgen.core.vocabulary import FormatName
from mixgen.manifest.mixture import Mixture

SCHEMA = "manifest/2"
FIRST_SCHEMA = "manifest/1"


class RecipeChanges(Record):
    """What options of the draw changed in the recipe, by its splits.

    `recipe_sha256` is that of the recipe with its `changes`.
    `mixtures` is how many there are, and `sources` the splits of the corpora that feed the split.
    """

    mixtures: dict[str, int] = Field(default_factory=dict)
    sources: dict[str, list[str]] = Field(default_factory=dict)


class Import(Record):
    """The published set that a manifest was imported from.

    `published` is its name, `lists` has the hashes of its metadata files by their names, and
    `script` says which version of which script the samples are those of.
    """

    published: str
    lists: dict[str, str]
    script: str


class Header(Record):
    """The first line of a manifest: where the records come from.

    `mixtures` is how many records follow, which manifests from before this key do not say.
    `layouts` has the layout that each corpus was indexed with, where that is known. A manifest that
    was imported and not drawn has `imported`; `recipe_sha256` is then the hash of that and of what
    was chosen of the set. `finished` is the corpus whose files the mixtures are, where all of them
    exist already.
    """

    schema_: str = Field(alias="schema", default=SCHEMA)
    name: str
    task: str
    format: FormatName
    recipe_sha256: str
    sources_sha256: str
    seed: int
    mixtures: int | None = Field(default=None, ge=0)
    created_by: dict[str, str]
    changes: RecipeChanges = RecipeChanges()
    layouts: dict[str, str] = Field(default_factory=dict)
    imported: Import | None = None
    finished: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data without what equals its default, under this schema."""
        plain = self.model_dump(mode="json", exclude={"schema_"}, exclude_defaults=True)
        return {"schema": SCHEMA, **plain}


class ManifestFile:
    """A manifest on disk: its header, and its mixtures, read and checked one at a time.

    Every iteration reads the file again. It raises InputError where a record is not valid, an id
    comes twice or records are missing; the sentence names the line or the mixture.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self._sha256: str | None = None

    def __iter__(self) -> Iterator[Mixture]:
        """Yield the mixtures in the order of the file."""
        ids = array("q")  # 8 bytes for an id: there may be millions
        digest = hashlib.sha256(_line(self.header))
        for mixture in self._records():
            ids.append(hash(mixture.id.lower()))
            _check_mixture(self.path, mixture)
            _check_finished(self, mixture)
            if self._sha256 is None:
                digest.update(_line(mixture))
            yield mixture
        self._check_count(len(ids))
        ordered = np.sort(ids)
        if (ordered[1:] == ordered[:-1]).any():
            self._check_ids()
        self._sha256 = self._sha256 or digest.hexdigest()

    def _records(self) -> Iterator[Mixture]:
        old = self.header.schema_ == FIRST_SCHEMA
        for where, data in itertools.islice(stream_jsonl(self.path), 1, None):
            yield parse_record(Mixture, upgraded(data) if old else data, where)

    def _check_ids(self) -> None:
        seen: set[str] = set()
        for mixture in self._records():
            # Two ids that differ in case alone are one folder on some file systems.
            if mixture.id.lower() in seen:
                raise InputError(f"{self.path} holds the mixture id {mixture.id!r} twice.")
            seen.add(mixture.id.lower())

    @property
    def sha256(self) -> str:
        """Hash of the manifest in the form that `write_manifest` gives it.

        Values that equal their default and the version of the schema do not count: an old file and
        the same one rewritten have one hash. If the file was not read to its end yet, it is read.
        """
        if self._sha256 is None:
            deque(self, maxlen=0)
        return str(self._sha256)

    def has_sha256(self, sha256: str) -> bool:
        """Return whether a hash that was recorded earlier is of this manifest.

        Before `manifest/2`, the hash of the file's bytes was recorded.
        """
        return sha256 in (self.sha256, sha256_file(self.path))

    def count(self) -> int:
        """Return how many mixtures there are, without reading what they are.

        Raises:
            InputError: they are not as many as the header says.
        """
        found = sum(1 for _ in read_lines(self.path)) - 1
        self._check_count(found)
        return found

    def _check_count(self, found: int) -> None:
        expected = self.header.mixtures
        if expected not in (None, found):
            raise InputError(
                f"{self.path} holds {found} mixtures, and {expected} by its header: restore it, "
                "draw it again, or correct `mixtures` in its first line if you changed it."
            )


@dataclass(frozen=True)
class Manifest:
    """A manifest file with all of its mixtures in memory."""

    file: ManifestFile
    mixtures: list[Mixture]

    @property
    def header(self) -> Header:
        """The first line."""
        return self.file.header

    @property
    def sha256(self) -> str:
        """Hash of the manifest; see `ManifestFile.sha256`."""
        return self.file.sha256

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


def _line(record: Header | Mixture) -> bytes:
    """Return the line of a header or mixture, as `write_manifest` writes it."""
    return f"{to_json(record.as_dict())}\n".encode()


def write_manifest(path: Path, header: Header, mixtures: Iterable[Mixture]) -> None:
    """Write a manifest atomically, one line of strict JSON per record."""

    def rows() -> Iterator[dict[str, Any]]:
        yield header.as_dict()
        for mixture in mixtures:
            yield mixture.as_dict()

    write_jsonl(path, rows())


def open_manifest(path: Path) -> ManifestFile:
    """Open a manifest of any length: read its header now, and its mixtures one at a time later.

    Raises:
        InputError: the file is missing, of another schema, or its header is not valid.
    """
    header = read_header(path, Header)
    if header.schema_ not in (SCHEMA, FIRST_SCHEMA):
        raise InputError(
            f"{path} has schema {header.schema_!r}; this version reads {SCHEMA!r} and "
            f"{FIRST_SCHEMA!r}."
        )
    return ManifestFile(path, header)


def read_manifest(path: Path) -> Manifest:
    """Read and check a whole manifest.

    Raises:
        InputError: the file is missing, of another schema, or a record is not valid; the sentence
            names the line.
    """
    manifest = open_manifest(path)
    return Manifest(manifest, list(manifest))


def _check_mixture(path: Path, mixture: Mixture) -> None:
    if mixture.room is None and any(source.room for source in mixture.sources):
        raise InputError(f"{path}: mixture {mixture.id} has sources in a room, and no room.")
    names = [name.lower() for name in mixture.file_names]
    if len(set(names)) < len(names):
        raise InputError(f"{path}: mixture {mixture.id} has two sources or references of one name.")
    unknown = set(mixture.targets) - {f.name for f in mixture.source_files if f.is_mixed}
    if unknown:
        raise InputError(f"{path}: mixture {mixture.id} has no source {sorted(unknown)[0]!r}.")
    if len(set(mixture.targets)) < len(mixture.targets):
        raise InputError(f"{path}: mixture {mixture.id} names a target twice.")
    longest_s = mixture.duration_s + 1 / mixture.sample_rate
    for source in mixture.sources:
        if any(event.event_time >= mixture.duration_s for event in source.events):
            raise InputError(
                f"{path}: an event of {source.name!r} of mixture {mixture.id} begins after the "
                f"end of the mixture at {mixture.duration_s:g} s."
            )
        # A background is repeated to its event_duration, so this bounds the memory it takes.
        if source.role == "background" and any(e.event_duration > longest_s for e in source.events):
            raise InputError(
                f"{path}: the event_duration of background {source.name!r} of mixture {mixture.id} "
                "is longer than the mixture."
            )


def _check_finished(manifest: ManifestFile, mixture: Mixture) -> None:
    files = mixture.finished.files.values() if mixture.finished else ()
    expected = {manifest.header.finished} - {None}
    if {file.corpus for file in files} != expected:
        raise InputError(
            f"{manifest.path}: the files of mixture {mixture.id} are not those of the corpus that "
            "`finished` names in the header: import the folder again."
        )


def upgraded(record: Any) -> Any:
    """Return a record of `manifest/1` with the keys of `manifest/2`."""
    if not isinstance(record, dict):
        return record
    renamed = _renamed(record, "effects", "degradations")
    sources = renamed.get("sources")
    if isinstance(sources, list):
        renamed["sources"] = [
            {**source, "gain": _renamed(source["gain"], "together", "shared")}
            if isinstance(source, dict) and isinstance(source.get("gain"), dict)
            else source
            for source in sources
        ]
    return renamed


def _renamed(data: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in data.items()}
