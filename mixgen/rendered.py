"""A rendered set on disk: what its files are called, what is recorded of them, how to read them."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from mixgen.audio import Samples, read_audio
from mixgen.errors import InputError
from mixgen.files import read_jsonl, write_jsonl
from mixgen.formats import FORMATS, SampleFormat
from mixgen.manifest import Manifest, Mixture, RelativePath, read_manifest
from mixgen.records import Record, parse_record

SCHEMA = "rendered/1"
MANIFEST_FILE = "manifest.jsonl"
RENDERED_FILE = "rendered.jsonl"


class RenderedHeader(Record):
    """First line of rendered.jsonl: which manifest the files render, and with what."""

    schema_: str = Field(alias="schema", default=SCHEMA)
    manifest_sha256: str
    format: str
    created_by: dict[str, str]


class FileRow(Record):
    """What is recorded of one rendered file.

    `sha256` is of the samples (see `mixgen.formats.file_samples`), `file_sha256` of the bytes.
    `clip_gain_db` is what the joint clip rule took from every file of the mixture.
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


def file_path(mixture: Mixture, name: str, form: SampleFormat) -> str:
    """Return where a file of a mixture is, relative to the set."""
    return f"{mixture.id}/{name}.{form.extension}"


def write_rendered(folder: Path, header: RenderedHeader, rows: list[FileRow]) -> None:
    """Write SET/rendered.jsonl atomically."""
    first: dict[str, Any] = header.model_dump(mode="json", by_alias=True)
    write_jsonl(folder / RENDERED_FILE, [first, *(row.as_dict() for row in rows)])


def read_rendered(folder: Path) -> tuple[RenderedHeader, list[FileRow]]:
    """Read SET/rendered.jsonl.

    Raises:
        InputError: it is missing or a line is not valid.
    """
    path = folder / RENDERED_FILE
    if not path.exists():
        raise InputError(f"{folder} has no {RENDERED_FILE}: run `mixgen render` to finish the set.")
    lines = read_jsonl(path)
    if not lines:
        raise InputError(f"{path} is empty: run `mixgen render` again.")
    header = parse_record(RenderedHeader, lines[0], f"{path} line 1")
    rows = [
        parse_record(FileRow, line, f"{path} line {number}")
        for number, line in enumerate(lines[1:], start=2)
    ]
    return header, rows


class RenderedSet:
    """A folder made by `mixgen render`.

    Raises:
        InputError: the folder holds no readable manifest and record of rendered files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / MANIFEST_FILE).is_file():
            raise InputError(
                f"{folder} is not a rendered set (no {MANIFEST_FILE}): make one with "
                f"`mixgen render MANIFEST --out {folder}`."
            )

    @functools.cached_property
    def manifest(self) -> Manifest:
        """The manifest that the set renders."""
        return read_manifest(self.folder / MANIFEST_FILE)

    @functools.cached_property
    def format(self) -> SampleFormat:
        """The sample format of the files."""
        return FORMATS[read_rendered(self.folder)[0].format]

    def mixtures(self, split: str | None = None) -> list[Mixture]:
        """Return the mixtures of one split, or all."""
        return self.manifest.of_split(split)

    def mixture_path(self, mixture_id: str) -> Path:
        """Return the file of a mixture."""
        return self.reference_path(mixture_id, "mixture")

    def reference_path(self, mixture_id: str, name: str) -> Path:
        """Return the file of one source of a mixture.

        Raises:
            InputError: the set has no such mixture.
        """
        mixture = self.manifest.by_id.get(mixture_id)
        if mixture is None:
            raise InputError(f"{self.folder} has no mixture {mixture_id!r}.")
        return self.folder / file_path(mixture, name, self.format)

    def load_mixture(self, mixture_id: str) -> Samples:
        """Return a mixture's samples, shape (channels, time)."""
        return read_audio(self.mixture_path(mixture_id))[0]

    def load_references(self, mixture_id: str) -> Samples:
        """Return the references in the order of the record's `targets`: (n_src, channels, time)."""
        mixture = self.manifest.by_id[mixture_id]
        references = np.empty((len(mixture.targets), mixture.channels, mixture.frames))
        for place, name in enumerate(mixture.targets):
            references[place] = read_audio(self.reference_path(mixture_id, name))[0]
        return references
