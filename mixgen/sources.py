"""sources.csv: one row per audio file that mixtures can be made from, and where the roots are."""

import csv
import functools
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from pydantic import Field, field_validator

from mixgen.activity import check_active
from mixgen.errors import InputError, UsageError
from mixgen.files import (
    canonical_json,
    read_json,
    read_text,
    sha256_bytes,
    sha256_file,
    write_csv,
    write_json,
)
from mixgen.manifest import Kind, RelativePath
from mixgen.paths import inside
from mixgen.records import Record, as_value_error, parse_record

ROOTS_FILE = "roots.json"

_SURROGATE = re.compile("[\ud800-\udfff]")  # stands for a byte that is no UTF-8

Roots = dict[str, Path]  # corpus name -> its folder on this machine


class SourceRow(Record):
    """One audio file; `path` is relative to the root of its corpus.

    `active` says when there is sound in it; it is empty in lists made before it was measured.
    """

    source_id: str
    corpus: str
    path: RelativePath
    kind: Kind
    label: str
    group: str
    split: str
    duration_s: float = Field(gt=0)
    sample_rate: int = Field(gt=0)
    channels: int = Field(gt=0)
    peak: float = Field(ge=0)
    loudness_lufs: float
    sha256: str
    licence: str
    text: str
    active: str = ""

    @property
    def owner(self) -> str:
        """Who is heard, or which room: two corpora may use one label for two of them."""
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
        InputError: a file is missing, has other columns, a row is not valid, or an id comes twice.
    """
    rows = [row for path in paths for row in _read_one(path)]
    seen: set[str] = set()
    for row in rows:
        if row.source_id in seen:
            raise InputError(
                f"The source {row.source_id!r} is listed twice: index each corpus once."
            )
        seen.add(row.source_id)
    return sorted(rows, key=lambda row: row.source_id)


def _read_one(path: Path) -> list[SourceRow]:
    reader = csv.DictReader(io.StringIO(read_text(path).removeprefix("\ufeff"), newline=""))
    missing = [column for column in _NEEDED if column not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{path} is not a sources.csv: the column {missing[0]!r} is missing.")
    try:
        return [parse_record(SourceRow, row, f"{path} line {reader.line_num}") for row in reader]
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num} is not valid CSV ({error}).") from None


def sources_sha256(rows: Iterable[SourceRow]) -> str:
    """Return the hash of what the rows say, independent of which files they came in."""
    # Lists made before a column was added keep their hash.
    said = [row.model_dump(mode="json", exclude_defaults=True) for row in rows]
    return sha256_bytes(canonical_json(said).encode())


def write_roots(folder: Path, roots: Roots) -> None:
    """Note in `folder` where the corpora are on this machine, keeping what is noted already."""
    noted = {**_read_roots(folder), **roots}
    write_json(folder / ROOTS_FILE, {name: str(root.resolve()) for name, root in noted.items()})


def _read_roots(folder: Path) -> Roots:
    path = folder / ROOTS_FILE
    noted = read_json(path) if path.exists() else {}
    if not isinstance(noted, dict) or not all(_is_path(root) for root in noted.values()):
        raise InputError(f"{path} should hold one folder per corpus: remove it and use --root.")
    return {name: Path(root) for name, root in noted.items()}


def _is_path(value: Any) -> bool:
    """Tell whether it is text that a path can be: UTF-8 without a zero."""
    return isinstance(value, str) and "\0" not in value and not _SURROGATE.search(value)


def find_roots(beside: Iterable[Path], given: Iterable[str] = ()) -> Roots:
    """Return the corpus roots noted beside the files `beside`, overruled by NAME=FOLDER words.

    Raises:
        UsageError: a word is not of the form NAME=FOLDER.
        InputError: a given folder does not exist.
    """
    roots: Roots = {}
    for path in beside:
        roots.update(_read_roots(Path(path).parent))
    for word in given:
        name, equals, folder = word.partition("=")
        if not (name and equals and folder):
            raise UsageError(f"--root takes CORPUS=FOLDER, not {word!r}.")
        if not Path(folder).is_dir():
            raise InputError(f"The root of {name} is not a folder: {folder}.")
        roots[name] = Path(folder)
    return roots


def locate(roots: Roots, corpus: str, path: str) -> Path:
    """Return where a corpus file is on this machine.

    Raises:
        InputError: the root of the corpus is not known, or the path leads out of it.
    """
    if corpus not in roots:
        known = ", ".join(sorted(roots)) or "none"
        raise InputError(
            f"Where the corpus {corpus!r} is on this machine is not known (known: {known}): "
            f"add --root {corpus}=FOLDER."
        )
    return inside(roots[corpus], path)


def locate_file(roots: Roots, corpus: str, path: str) -> Path:
    """Return where a corpus file is on this machine.

    Raises:
        InputError: as `locate`, or there is no such file.
    """
    full = locate(roots, corpus, path)
    if not full.is_file():
        raise InputError(f"There is no source file {full}: check --root {corpus}=FOLDER.")
    return full


class FileRef(Protocol):
    """What names a file of a corpus and what is in it: an event or a response of a record."""

    @property
    def corpus(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def sha256(self) -> str: ...


def drawn_file(roots: Roots, drawn: FileRef) -> Path:
    """Return the file that a record names.

    Raises:
        InputError: it is missing, or its content is not what was drawn from.
    """
    path = locate_file(roots, drawn.corpus, drawn.path)
    status = path.stat()
    if _sha256_of(path, status.st_size, status.st_mtime_ns) != drawn.sha256:
        raise InputError(
            f"{path} is not the file that the manifest was drawn from (its SHA-256 differs): "
            "restore it, or index and draw again."
        )
    return path


@functools.lru_cache(maxsize=65536)
def _sha256_of(path: Path, _size: int, _mtime_ns: int) -> str:
    return sha256_file(path)
