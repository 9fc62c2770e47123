"""A rendered set on disk: the names of its files, the record of them, and reading them."""

import contextlib
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from mixgen.audio.formats import FORMATS, SampleFormat
from mixgen.audio.read import Samples, as_long, read_audio
from mixgen.core.errors import InputError
from mixgen.core.files import has_sha256, sha256_file, write_jsonl
from mixgen.core.paths import leads_out
from mixgen.core.records import Record, RelativePath, read_header, read_records
from mixgen.core.vocabulary import FormatName
from mixgen.corpora.roots import find_roots, locate_root
from mixgen.manifest.file import Manifest, ManifestFile, open_manifest, read_manifest
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.sets.layout import FINISHED, NATIVE, Layout

SCHEMA = "rendered/1"
MANIFEST_FILE = "manifest.jsonl"
RENDERED_FILE = "rendered.jsonl"
RECORDS_FOLDER = ".sets"  # of a tree: the manifests and rows of all sets in it

_DIGITS = 16  # of a manifest's hash, in the name of its folder


class RenderedHeader(Record):
    """First line of rendered.jsonl: which manifest the files render, and with what.

    With a `layout` the files are in a tree, below whose root the records are.
    """

    schema_: str = Field(alias="schema", default=SCHEMA)
    manifest_sha256: str
    format: FormatName
    created_by: dict[str, str]
    layout: Layout | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data, without `layout` if there is none."""
        plain = self.model_dump(mode="json", by_alias=True)
        return {key: value for key, value in plain.items() if value is not None}


class FileRow(Record):
    """What is recorded of one rendered file.

    `sha256` is of the samples (see `mixgen.audio.formats.file_samples`), `file_sha256` of the
    bytes. `clip_gain_db` is what the joint clip rule took from every file of the mixture. `reasons`
    says of measured values that are null why they are.
    """

    id: str
    name: str
    path: RelativePath
    frames: int
    sample_rate: int
    channels: int
    peak: float
    sha256: str
    file_sha256: str
    clip_gain_db: float
    requested: dict[str, float | None]
    measured: dict[str, float | None]
    reasons: dict[str, str] = Field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data, without `reasons` if there are none."""
        return self.model_dump(mode="json", exclude_defaults=True)


def file_path(
    mixture: Mixture, name: str, sample_format: SampleFormat, layout: Layout | None = None
) -> str:
    """Return where a file of a mixture is, relative to the set or to the root of a tree."""
    if layout == FINISHED and mixture.finished is not None:
        return mixture.finished.files[name].path
    return f"{(layout or NATIVE).path(mixture, name)}.{sample_format.extension}"


def records_folder(tree: Path, manifest_sha256: str) -> Path:
    """Return the folder of the manifest and rows of a set whose files are in a tree."""
    return tree / RECORDS_FOLDER / manifest_sha256[:_DIGITS]


def sets_in(folder: Path) -> list[Path]:
    """Return the folders with the records of all sets in a folder.

    That is the folder itself where it is a rendered set, and one for each set in its tree.
    """
    inside = folder / RECORDS_FOLDER
    trees = sorted(path for path in inside.iterdir() if path.is_dir()) if inside.is_dir() else []
    return [folder, *trees] if (folder / MANIFEST_FILE).is_file() else trees


def is_whole(row: FileRow, folder: Path) -> bool:
    """Return whether a recorded file is in the set, byte for byte."""
    return not leads_out(folder, row.path) and has_sha256(folder / row.path, row.file_sha256)


@dataclass(frozen=True)
class RenderedFile:
    """SET/rendered.jsonl: its header, and the rows of the rendered files, read one at a time.

    The rows are in the order of the manifest, and the rows of a mixture follow each other.
    """

    path: Path
    header: RenderedHeader

    @property
    def root(self) -> Path:
        """The folder that the paths of the rows are relative to."""
        return self.path.parents[2] if self.header.layout else self.path.parent

    def __iter__(self) -> Iterator[FileRow]:
        """Yield the rows; raises InputError where a line is not valid."""
        with _remedy():
            yield from read_records(self.path, FileRow)


@contextlib.contextmanager
def _remedy() -> Iterator[None]:
    """Add the remedy to errors in rendered.jsonl."""
    try:
        yield
    except InputError as error:
        remedy = "`mixgen render` with the set's manifest makes it again."
        raise InputError(f"{error} {remedy}") from None


def open_rendered(folder: Path) -> RenderedFile:
    """Open SET/rendered.jsonl: read its header now, and its rows one at a time later.

    Raises:
        InputError: it is missing, of another schema, or its header is not valid.
    """
    path = folder / RENDERED_FILE
    if not path.is_file():
        raise InputError(f"{folder} has no {RENDERED_FILE}: run `mixgen render` to finish the set.")
    with _remedy():
        header = read_header(path, RenderedHeader)
        if header.schema_ != SCHEMA:
            raise InputError(
                f"{path} has schema {header.schema_!r}, and this version reads {SCHEMA!r}."
            )
        return RenderedFile(path, header)


@dataclass(frozen=True)
class FinishedFiles:
    """What the records of a manifest say of finished files, as rendered.jsonl does of others.

    Attributes:
        manifest: whose records they are.
        root: the folder that the paths of the rows are relative to.
    """

    manifest: ManifestFile
    root: Path

    @property
    def path(self) -> Path:
        """The file that has the records."""
        return self.manifest.path

    @functools.cached_property
    def header(self) -> RenderedHeader:
        """What the first line of rendered.jsonl would be."""
        return RenderedHeader(
            manifest_sha256=self.manifest.sha256,
            format=self.manifest.header.format,
            created_by=self.manifest.header.created_by,
            layout=FINISHED,
        )

    def __iter__(self) -> Iterator[FileRow]:
        """Yield the rows; raises InputError where a record is not valid."""
        for mixture in self.manifest:
            files = mixture.finished.files if mixture.finished else {}
            for name in mixture.file_names:
                file = files[name]
                yield FileRow(
                    id=mixture.id,
                    name=name,
                    path=file.path,
                    frames=file.frames or mixture.frames,
                    sample_rate=mixture.sample_rate,
                    channels=mixture.channels,
                    peak=file.peak,
                    sha256=file.samples_sha256,
                    file_sha256=file.sha256,
                    clip_gain_db=0.0,
                    requested={},
                    measured={},
                )


def write_rendered(folder: Path, header: RenderedHeader, rows: Iterable[FileRow]) -> None:
    """Write SET/rendered.jsonl atomically, one row after the other."""
    lines = itertools.chain([header.as_dict()], (row.as_dict() for row in rows))
    write_jsonl(folder / RENDERED_FILE, lines)


class RowsInOrder:
    """Rows of rendered files, returned mixture by mixture in the order of the manifest."""

    def __init__(self, rows: Iterable[FileRow]) -> None:
        self._groups = itertools.groupby(rows, key=lambda row: row.id)
        self._next = next(self._groups, None)

    @property
    def next_id(self) -> str | None:
        """The mixture of the next rows; None after the last."""
        return self._next[0] if self._next else None

    def of(self, mixture_id: str) -> list[FileRow]:
        """Return the rows of a mixture; an empty list if the next rows are of another one."""
        if self._next is None or self._next[0] != mixture_id:
            return []
        rows = list(self._next[1])
        self._next = next(self._groups, None)
        return rows


def all_rows(folder: Path) -> Iterator[FileRow]:
    """Yield what is recorded of the files of all sets in a folder.

    Raises:
        InputError: the folder has no record of rendered files, or a line of one is not valid.
    """
    for records in sets_in(folder) or [folder]:
        yield from RenderedSet(records).record


def load_set(folder: str | Path) -> "RenderedSet":
    """Open a folder made by `mixgen render`, or the manifest of a folder that was imported.

    Raises:
        InputError: the folder holds no rendered set.
    """
    return RenderedSet(Path(folder))


def _records_in(folder: Path) -> Path:
    """Return the folder with the records of the only set in a folder."""
    found = sets_in(folder)
    if not found:
        raise InputError(
            f"{folder} is not a rendered set (no {MANIFEST_FILE}): make one with "
            f"`mixgen render MANIFEST --out {folder}`."
        )
    if len(found) > 1 and found[0] != folder:
        raise InputError(
            f"{folder} holds {len(found)} sets: give the folder of one, such as {found[0]}."
        )
    return found[0]


class RenderedSet:
    """A set whose files exist: its records are in `folder`, its files below `root`.

    It is a folder made by `mixgen render`, or a manifest of finished files, whose records have all
    that rendered.jsonl has of others; the folder of its files is in the roots.json beside it.

    Raises:
        InputError: the folder holds no readable manifest and record of rendered files, or those of
            several sets; or the manifest has yet to be rendered.
    """

    def __init__(self, place: Path, roots: Mapping[str, Path | str] | None = None) -> None:
        self._roots = roots
        self.is_finished = Path(place).is_file()
        self.path = Path(place) if self.is_finished else _records_in(Path(place)) / MANIFEST_FILE
        self.folder = self.path.parent
        if self.is_finished and self.manifest_file.header.finished is None:
            raise InputError(
                f"{place} is a manifest that has to be rendered: run `mixgen render {place} --out "
                "SET`, and give the folder SET."
            )

    @property
    def place(self) -> Path:
        """What users give for the set: the folder, or the manifest of finished files."""
        return self.path if self.is_finished else self.folder

    @functools.cached_property
    def manifest_file(self) -> ManifestFile:
        """The manifest of the set, to be read one mixture at a time."""
        return open_manifest(self.path)

    @functools.cached_property
    def manifest(self) -> Manifest:
        """The whole manifest of the set."""
        return read_manifest(self.path)

    @functools.cached_property
    def record(self) -> RenderedFile | FinishedFiles:
        """What is recorded of the files."""
        corpus = self.manifest_file.header.finished
        if corpus is None or not self.is_finished:
            return open_rendered(self.folder)
        return FinishedFiles(
            self.manifest_file, locate_root(find_roots([self.path], self._roots), corpus)
        )

    @functools.cached_property
    def format(self) -> SampleFormat:
        """The sample format of the files."""
        return FORMATS[self.record.header.format]

    @functools.cached_property
    def root(self) -> Path:
        """The folder that paths in rows are relative to."""
        return self.record.root

    def mixtures(self, split: str | None = None) -> list[Mixture]:
        """Return the mixtures of one split, or all."""
        return self.manifest.of_split(split)

    def mixture_path(self, mixture_id: str) -> Path:
        """Return the file of a mixture."""
        return self.reference_path(mixture_id, MIXTURE)

    def reference_path(self, mixture_id: str, name: str) -> Path:
        """Return the file of one source of a mixture.

        Raises:
            InputError: the set has no mixture of that id.
        """
        mixture = self.manifest.by_id.get(mixture_id)
        if mixture is None:
            raise InputError(f"{self.folder} has no mixture {mixture_id!r}.")
        return self.root / self.file_path(mixture, name)

    def file_path(self, mixture: Mixture, name: str) -> str:
        """Return where a file of a mixture is, relative to `root`."""
        return file_path(mixture, name, self.format, self.record.header.layout)

    def load_mixture(self, mixture_id: str) -> Samples:
        """Return a mixture's samples, shape (channels, time)."""
        return self.load_source(mixture_id, MIXTURE)

    def load_references(self, mixture_id: str) -> Samples:
        """Return the references in the order of the record's `targets`: (n_src, channels, time)."""
        mixture = self.manifest.by_id[mixture_id]
        references = np.empty((len(mixture.targets), mixture.channels, mixture.frames))
        for index, name in enumerate(mixture.targets):
            references[index] = self.load_source(mixture_id, name)
        return references

    def load_source(self, mixture_id: str, name: str) -> Samples:
        """Return the samples of any file of a mixture, shape (channels, time).

        Raises:
            InputError: the file cannot be read, or has not the rate, the channels or the length
                that its record gives it.
        """
        path = self.reference_path(mixture_id, name)
        samples, rate = read_audio(path)
        mixture = self.manifest.by_id[mixture_id]
        frames = mixture.frames_of(name) or samples.shape[1]
        is_whole = samples.shape[1] == frames and samples.shape[0] in (1, mixture.channels)
        if rate != mixture.sample_rate or not is_whole:
            raise InputError(
                f"{path} has {rate} Hz, {samples.shape[0]} channel(s) and {samples.shape[1]} "
                f"samples, and the manifest {mixture.sample_rate} Hz, {mixture.channels} "
                f"channel(s) and {frames} samples: `mixgen verify {self.place}` lists what changed."
            )
        return samples

    def load_far_end(self, mixture_id: str) -> Samples:
        """Return the sum of the far-end signals, shape (channels, time); silence without any.

        Of a signal that is longer than the mixture the end is cut; silence follows a shorter one.
        """
        mixture = self.manifest.by_id[mixture_id]
        signals = [self.load_source(mixture_id, name) for name in mixture.far_end_files]
        silence = np.zeros((mixture.channels, mixture.frames))
        return sum((as_long(signal, mixture.frames) for signal in signals), silence)

    def load_enrolments(self, mixture_id: str) -> list[Samples]:
        """Return a mixture's enrolment utterances in the order of its sources, each (1, time)."""
        files = self.manifest.by_id[mixture_id].source_files
        return [
            self.load_source(mixture_id, file.name) for file in files if file.part == "enrolment"
        ]


def set_sha256(rendered: RenderedSet) -> str:
    """Return the hash of rendered.jsonl, which has the hashes of the manifest and of all files.

    A manifest of finished files has them itself.

    Raises:
        InputError: the set was not finished, or its manifest was changed after rendering.
    """
    if rendered.is_finished:
        return rendered.manifest.sha256
    recorded = rendered.record.header.manifest_sha256
    if not rendered.manifest.file.has_sha256(recorded):
        raise InputError(
            f"{rendered.folder} was rendered from the manifest {recorded[:12]}, but "
            f"holds {rendered.manifest.sha256[:12]}: run `mixgen render` again."
        )
    return sha256_file(rendered.folder / RENDERED_FILE)
