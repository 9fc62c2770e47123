"""Tempo, key and beat of songs: read from a table beside a corpus, kept as words in `text`."""

import csv
import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import Field, field_validator

from mixgen.core.errors import InputError
from mixgen.core.files import read_text
from mixgen.core.records import Record, parse_record

TAGS_FILE = "tags.csv"

_TONICS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}  # semitones above C
_ACCIDENTALS = {"": 0, "#": 1, "b": -1}
# The semitone of a major scale on which the mode with the same notes begins.
_MODES = {
    "major": 0,
    "dorian": 2,
    "phrygian": 4,
    "lydian": 5,
    "mixolydian": 7,
    "minor": 9,
    "locrian": 11,
}
_KEY = re.compile(rf"([A-G])([#b]?) ({'|'.join(_MODES)})")


class SongTags(Record):
    """Tags of a song, None where unknown; `beat_s` is the time of any one of its beats."""

    tempo_bpm: float | None = Field(default=None, gt=0)
    key: str | None = None
    beat_s: float | None = Field(default=None, ge=0)

    @field_validator("key")
    @classmethod
    def _key_is_a_tonic_and_a_mode(cls, key: str | None) -> str | None:
        if key is not None and not _KEY.fullmatch(key):
            raise ValueError(
                f"a key is a tonic and a mode ({', '.join(_MODES)}), like 'A minor' or "
                f"'Bb major', not {key!r}"
            )
        return key


_COLUMNS = ("group", *SongTags.model_fields)
_TAG = re.compile(rf"(?:^|\s)({'|'.join(SongTags.model_fields)})=(\S*)")


def tags_of(text: str) -> SongTags:
    """Read the tags among the words of `text`; the last of several tags of one name counts.

    Raises:
        InputError: a value is not allowed.
    """
    values = {name: value.replace("_", " ") for name, value in _TAG.findall(text)}
    tags: SongTags = parse_record(SongTags, values, f"The text {text!r}")
    return tags


def to_text(tags: SongTags) -> str:
    """Return the known tags as words that `tags_of` reads."""
    known = tags.model_dump(exclude_none=True).items()
    return " ".join(f"{name}={str(value).replace(' ', '_')}" for name, value in known)


def semitones_between(key_a: str | None, key_b: str | None) -> int | None:
    """Return the semitones, -5 to 6, that transpose a song in `key_a` to the notes of `key_b`.

    A key counts as the major key with the same notes: from C major to A minor or D dorian it is 0
    semitones, because songs in these keys fit together. None if a key is unknown.

    Raises:
        InputError: a key is not a tonic and a mode, as `SongTags` needs it.
    """
    if key_a is None or key_b is None:
        return None
    return (_major_tonic(key_b) - _major_tonic(key_a) + 5) % 12 - 5


def _major_tonic(key: str) -> int:
    """Return the tonic of the major key with the same notes, in semitones above C."""
    match = _KEY.fullmatch(key)
    if match is None:
        raise InputError(f"{key!r} is not a key: write one like 'A minor' or 'Bb major'.")
    tonic, accidental, mode = match.groups()
    return _TONICS[tonic] + _ACCIDENTALS[accidental] - _MODES[mode]


class _Row(SongTags):
    group: str


def read_tags(path: Path, groups: Collection[str]) -> dict[str, SongTags]:
    """Read a table `group,tempo_bpm,key,beat_s` of songs; the value of an empty cell is unknown.

    Args:
        path: the table.
        groups: the songs of the corpus.

    Raises:
        InputError: the table is missing or has other columns, a value is not allowed, or a song
            occurs twice or is not in `groups`; the message names the line.
    """
    tags: dict[str, SongTags] = {}
    for where, row in _rows(path):
        if row.group not in groups:
            raise InputError(f"{where}: the corpus has no song {row.group!r}: correct the group.")
        if row.group in tags:
            raise InputError(f"{where}: the song {row.group!r} is listed twice: remove a line.")
        tags[row.group] = SongTags(**row.model_dump(exclude={"group"}))
    return tags


def _rows(path: Path) -> Iterator[tuple[str, _Row]]:
    """Yield the location and the content of every row after the header."""
    text = read_text(path).removeprefix("\ufeff")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if set(reader.fieldnames or ()) != set(_COLUMNS):
            raise InputError(
                f"{path} line 1: the columns of a table of tags must be {', '.join(_COLUMNS)}."
            )
        for cells in reader:
            where = f"{path} line {reader.line_num}"
            if None in cells:
                raise InputError(f"{where} has more cells than columns.")
            known = {column: cell for column, cell in cells.items() if cell}
            yield where, parse_record(_Row, known, where)
    except csv.Error as error:
        line = reader.reader.line_num
        raise InputError(f"{path} line {line} is not a table row ({error}).") from None
