"""Read the tables that corpora hold beside their audio.

No path is ever built from the content of these files: layouts look up the audio files they found.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mixgen.core.errors import InputError
from mixgen.core.files import read_text


def read_table(
    path: Path,
    columns: Sequence[str],
    *,
    delimiter: str = ",",
    quoted: bool = True,
    header: bool = True,
) -> Iterator[dict[str, str]]:
    """Yield the rows of a table one by one, each with at least the given columns.

    Args:
        path: UTF-8 text, with or without a byte order mark.
        columns: names of the needed columns; without a header, of all columns in their order.
        delimiter: the character between two fields.
        quoted: whether fields may be quoted; if not, a quotation mark is part of the text.
        header: whether the first line names the columns.

    Raises:
        InputError: the file is missing or is not a table with these columns; the message names the
            line.
    """
    reader = csv.DictReader(
        io.StringIO(read_text(path).removeprefix("\ufeff"), newline=""),
        fieldnames=None if header else columns,
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path} has no column {missing[0]!r}: restore the original file.")
        for row in reader:
            if any(row[column] is None for column in columns):
                raise InputError(
                    f"{path} line {reader.line_num} ends early: restore the original file."
                )
            yield row
    except csv.Error as error:
        line = reader.reader.line_num
        raise InputError(f"{path} line {line} is not a table row ({error}).") from None


def look_up(data: Any, path: Path, *keys: str) -> Any:
    """Return the value under nested `keys` in `data`, which was read from `path`.

    Raises:
        InputError: a key is missing, or the value is null.
    """
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    if data is None:
        raise InputError(f"{path} has no value {'.'.join(keys)}: restore the original file.")
    return data


def nearest(root: Path, path: Path, name: str) -> Path | None:
    """Return the nearest file `name` in the folder of `root / path` or above it, up to `root`."""
    candidates = (root / folder / name for folder in path.parents)
    return next((candidate for candidate in candidates if candidate.is_file()), None)
