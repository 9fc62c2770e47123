"""What corpora tell of their files beside them: tables and YAML, read with errors in one sentence.

No path is ever built from what such a file says: layouts look up the files that are there.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

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
    """Yield the rows of a table, each with at least these columns, as they are read.

    Args:
        path: UTF-8 text, with or without a byte order mark.
        columns: their names; without a header, in their order.
        delimiter: what stands between two fields.
        quoted: whether a field may be quoted; if not, a quotation mark is text like any other.
        header: whether the first line names the columns.

    Raises:
        InputError: the file is missing or not such a table; the line is told.
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
            raise InputError(f"{path} has no column {missing[0]!r}: get the corpus's own file.")
        for row in reader:
            if any(row[column] is None for column in columns):
                raise InputError(
                    f"{path} line {reader.line_num} ends early: get the whole file again."
                )
            yield row
    except csv.Error as error:
        line = reader.reader.line_num
        raise InputError(f"{path} line {line} is not a table row ({error}).") from None


def read_yaml(path: Path) -> Any:
    """Return the plain values in a YAML file.

    Raises:
        InputError: the file is missing or is not YAML; the line is told.
    """
    try:
        return yaml.safe_load(read_text(path).removeprefix("\ufeff"))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line} is not valid YAML: get the corpus's own file.") from None


def look_up(data: Any, path: Path, *keys: str) -> Any:
    """Return what lies under nested `keys` in `data`, which was read from `path`.

    Raises:
        InputError: there is nothing.
    """
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    if data is None:
        raise InputError(f"{path} does not tell {'.'.join(keys)}: get the corpus's own file.")
    return data


def nearest(root: Path, path: Path, name: str) -> Path | None:
    """Return the file `name` in the folder of `root / path` or in one above it, up to `root`."""
    candidates = (root / folder / name for folder in path.parents)
    return next((candidate for candidate in candidates if candidate.is_file()), None)
