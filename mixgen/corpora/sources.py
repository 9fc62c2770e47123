"""sources.csv, the list of audio files that mixtures are drawn from: its rows, reading, writing."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from mixgen.audio.activity import check_active
from mixgen.core.errors import InputError
from mixgen.core.files import canonical_json, read_text, sha256_bytes, write_csv
from mixgen.core.records import Record, RelativePath, as_value_error, parse_record
from mixgen.core.vocabulary import Kind
from mixgen.corpora.roots import Roots, find_roots


class SourceRow(Record):
    """One audio file; `path` is relative to the root of its corpus.

    `active` holds the spans of time with sound, `layout` the name of the layout that found the
    file, `frames` its exact length, which `duration_s` rounds. They are empty or 0 in lists that
    are older than these columns.
    """

    source_id: str
    corpus: str
    path: RelativePath
    kind: Kind
    label: str
    group: str
    split: str
    duration_s: float = Field(gt=0, le=1e7)
    sample_rate: int = Field(gt=0, le=10_000_000)
    channels: int = Field(gt=0)
    peak: float = Field(ge=0)
    loudness_lufs: float
    sha256: str
    licence: str
    text: str
    active: str = ""
    layout: str = ""
    frames: Annotated[int, BeforeValidator(lambda cell: cell or 0)] = Field(default=0, ge=0)

    @property
    def length_s(self) -> float | None:
        """The exact length in seconds, if the list has it."""
        return self.frames / self.sample_rate if self.frames else None

    @property
    def owner(self) -> str:
        """The talker, class or room: two corpora may use one label for different ones."""
        return f"{self.corpus}/{self.label}"

    @field_validator("active")
    @classmethod
    def _active_is_spans(cls, text: str) -> str:
        return as_value_error(check_active, text)


COLUMNS = tuple(SourceRow.model_fields)
_NEEDED = tuple(name for name, field in SourceRow.model_fields.items() if field.is_required())


def write_sources(path: Path, rows: Iterable[SourceRow]) -> None:
    """Write rows sorted by source_id, atomically."""
    ordered = sorted(rows, key=lambda row: row.source_id)
    write_csv(path, COLUMNS, (row.as_dict() for row in ordered))


def read_sources(paths: Iterable[Path]) -> list[SourceRow]:
    """Read one or more sources.csv files.

    Raises:
        InputError: a file is missing or lacks a column, a row is not valid, or an id occurs twice.
    """
    rows = [row for path in paths for row in _read_file(path)]
    seen: set[str] = set()
    for row in rows:
        if row.source_id in seen:
            raise InputError(
                f"The source {row.source_id!r} is listed twice: index each corpus once."
            )
        seen.add(row.source_id)
    return sorted(rows, key=lambda row: row.source_id)


def open_sources(
    sources: Iterable[str | Path | SourceRow], roots: Mapping[str, Path | str] | None = None
) -> tuple[list[SourceRow], Roots]:
    """Return the rows of sources.csv files, and the corpus roots noted beside them or given.

    Rows that are given instead of files are returned as they are, in their order.

    Raises:
        InputError: as in `read_sources`, or a given root is not a folder.
    """
    given = list(sources)
    rows = [source for source in given if isinstance(source, SourceRow)]
    paths = [Path(source) for source in given if not isinstance(source, SourceRow)]
    return [*rows, *read_sources(paths)], find_roots(paths, roots)


def _read_file(path: Path) -> list[SourceRow]:
    reader = csv.DictReader(io.StringIO(read_text(path).removeprefix("\ufeff"), newline=""))
    columns = reader.fieldnames or ()
    if len(set(columns)) < len(columns):
        raise InputError(f"{path} names a column twice: remove one of the two.")
    missing = [column for column in _NEEDED if column not in columns]
    if missing:
        raise InputError(f"{path} is not a sources.csv: the column {missing[0]!r} is missing.")
    try:
        return [_parse_row(row, f"{path} line {reader.line_num}") for row in reader]
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num} is not valid CSV ({error}).") from None


def _parse_row(row: dict[str, str], where: str) -> SourceRow:
    if None in row:  # csv keeps what is beyond the columns under this key
        raise InputError(f"{where} has more cells than the first line has columns.")
    parsed: SourceRow = parse_record(SourceRow, row, where)
    return parsed


def sources_sha256(rows: Iterable[SourceRow]) -> str:
    """Return the hash of the content of the rows, whichever files they were read from."""
    # Without defaults, a list that is older than a column keeps its hash. `frames` follows from the
    # content of the file, whose hash counts.
    content = [
        row.model_dump(mode="json", exclude_defaults=True, exclude={"frames"}) for row in rows
    ]
    return sha256_bytes(canonical_json(content).encode())
