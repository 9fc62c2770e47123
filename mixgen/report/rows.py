"""A manifest and the rows of its rendered files, one mixture at a time however many there are."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixgen.errors import InputError
from mixgen.files import parse_json, sha256_file
from mixgen.manifest import SCHEMA, Header, Mixture
from mixgen.records import Record, parse_record
from mixgen.rendered import MANIFEST_FILE, RENDERED_FILE, FileRow, RenderedHeader

Rows = dict[str, FileRow]  # of one mixture, by file name; empty where it is not rendered


@dataclass(frozen=True)
class Given:
    """What is reported on: a manifest, and the folder it is rendered to if that is known."""

    manifest: Path
    folder: Path | None
    header: Header
    sha256: str


def open_source(source: Path) -> Given:
    """Find the manifest in a rendered set, or take `source` as a manifest alone.

    Raises:
        InputError: the set is missing, is not rendered to its end or was rendered from another
            manifest; or the manifest cannot be read.
    """
    folder = source if source.is_dir() else None
    manifest = source / MANIFEST_FILE if folder else source
    header = _first(manifest, Header)
    if header.schema_ != SCHEMA:
        raise InputError(f"{manifest} has schema {header.schema_!r}, and {SCHEMA!r} can be read.")
    given = Given(manifest, folder, header, sha256_file(manifest))
    if folder:
        _check_rendered(given, folder / RENDERED_FILE)
    return given


def _check_rendered(given: Given, rendered: Path) -> None:
    if not rendered.exists():
        raise InputError(
            f"{given.folder} has no {RENDERED_FILE}: finish the set with `mixgen render`, or "
            f"report on {given.manifest} alone."
        )
    if _first(rendered, RenderedHeader).manifest_sha256 != given.sha256:
        raise InputError(
            f"{given.folder} was rendered from another manifest than its {MANIFEST_FILE}: "
            "`mixgen render` with the right one repairs it."
        )


def mixtures_with_rows(given: Given) -> Iterator[tuple[Mixture, Rows]]:
    """Yield every mixture in the manifest's order with the rows of its files.

    Raises:
        InputError: a line is not valid, or rendered.jsonl is not in the order of the manifest.
    """
    mixtures = _records(given.manifest, Mixture)
    if given.folder is None:
        yield from ((mixture, {}) for mixture in mixtures)
        return
    path = given.folder / RENDERED_FILE
    groups = itertools.groupby(_records(path, FileRow), key=lambda row: row.id)
    waiting, rows = next(groups, ("", iter(())))
    for mixture in mixtures:
        if mixture.id == waiting:
            yield mixture, {row.name: row for row in rows}
            waiting, rows = next(groups, ("", iter(())))
        else:
            yield mixture, {}
    if waiting:
        raise InputError(
            f"{path} has mixture {waiting!r} where the manifest has not: render the set again."
        )


def _first(path: Path, kind: type[Record]) -> Any:
    line = next(_lines(path), None)
    if line is None:
        raise InputError(f"{path} is empty: make it again.")
    return _parse(kind, path, *line)


def _records(path: Path, kind: type[Record]) -> Iterator[Any]:
    """Yield the records that follow the header."""
    for number, line in itertools.islice(_lines(path), 1, None):
        yield _parse(kind, path, number, line)


def _parse(kind: type[Record], path: Path, number: int, line: str) -> Any:
    where = f"{path} line {number}"
    return parse_record(kind, parse_json(line, where), where)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file with their numbers.

    Raises:
        InputError: the file is missing or is not UTF-8 text.
    """
    try:
        with open(path, encoding="utf-8", newline="\n") as stream:
            yield from enumerate(stream, start=1)
    except FileNotFoundError:
        raise InputError(
            f"There is no {path}: give a folder made by `mixgen render`, or a manifest."
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text: give the text file that was meant.") from None
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
