"""Files of records: a header on the first line and a record on every other, read one at a time."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from mixgen.errors import InputError
from mixgen.files import stream_jsonl
from mixgen.records import Record, parse_record

Item = TypeVar("Item", bound=Record)


def read_header(path: Path, kind: type[Item]) -> Item:
    """Return the record on the first line.

    Raises:
        InputError: the file is missing or empty, or the line is not such a record.
    """
    for where, data in stream_jsonl(path):
        header: Item = parse_record(kind, data, where)
        return header
    raise InputError(f"{path} is empty: it should begin with a header line; make it again.")


def read_records(path: Path, kind: type[Item]) -> Iterator[Item]:
    """Yield the records that follow the header.

    Raises:
        InputError: the file is missing, or a line is not such a record; the line is named.
    """
    for where, data in itertools.islice(stream_jsonl(path), 1, None):
        yield parse_record(kind, data, where)
