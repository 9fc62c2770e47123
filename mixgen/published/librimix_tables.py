"""The tables that the script of LibriMix writes beside its files, with the same bytes.

Libri2Mix/wav8k/min/metadata/mixture_test_mix_both.csv has the absolute paths and the length of
every mixture, metrics_test_mix_both.csv the energy of each source against the rest, in dB. The
script writes these numbers through pandas, which gives a column the number format of its first row.
"""

import contextlib
import csv
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from mixgen.core.files import atomic_path, machine_errors
from mixgen.corpora.tables import read_table
from mixgen.sets.rendered import FileRow, RenderedSet

_ID = "mixture_ID"

_Cells = dict[str, str]


def write_tables(rendered: RenderedSet, scratch: Path) -> None:
    """Write the tables of all mixtures of a set; other mixtures in them are kept, and come last.

    Args:
        rendered: the set.
        scratch: folder of the same file system for tables that are not finished.

    Raises:
        InputError: the records of the set, or tables that are there already, cannot be read.
        MachineError: a table cannot be written.
    """
    with contextlib.ExitStack() as stack:
        tables: dict[str, _Table] = {}

        def table(mixture: FileRow, name: str, columns: Sequence[str]) -> _Table:
            """Return the table of a mixture, which is opened for the first one."""
            above, subset, kind, _ = mixture.path.rsplit("/", 3)
            path = f"{above}/metadata/{name}_{subset}_{kind}.csv"
            if path not in tables:
                opened = _opened(rendered.root / path, columns, scratch)
                tables[path] = stack.enter_context(opened)
            return tables[path]

        for _, rows in itertools.groupby(rendered.record, key=lambda row: row.id):
            mixture, *sources = rows
            named = {_ID: PurePosixPath(mixture.path).stem}
            paths = {
                f"{_column(row.name)}_path": os.path.abspath(rendered.root / row.path)
                for row in (mixture, *sources)
            }
            length = {"length": str(mixture.frames)}
            table(mixture, "mixture", [_ID, *paths, *length]).add(named | paths | length)
            ratios = {
                f"{_column(row.name)}_SNR": row.measured["energy_ratio_db"] for row in sources
            }
            metrics = table(mixture, "metrics", [_ID, *ratios])
            cells = {column: metrics.spelled(column, db or 0.0) for column, db in ratios.items()}
            metrics.add(named | cells)


class _Table:
    """A table that is written row by row."""

    def __init__(self, writer: "csv.DictWriter[str]") -> None:
        self.names: set[str] = set()
        self._writer = writer
        self._formats: dict[str, Callable[[float], str]] = {}

    def add(self, cells: _Cells) -> None:
        """Write the row of a mixture."""
        self.names.add(cells[_ID])
        self._writer.writerow(cells)

    def spelled(self, column: str, value: float) -> str:
        """Return a number as the column spells all of its numbers.

        Crossfades are in 64-bit floats, and so is all that is computed of what they extend; one of
        these in 2^29 is a 32-bit float as well.
        """
        is_single = float(np.float32(value)) == value
        return self._formats.setdefault(column, _single if is_single else repr)(value)


@contextlib.contextmanager
def _opened(path: Path, columns: Sequence[str], scratch: Path) -> Iterator[_Table]:
    """Open a table for new rows, which replace it; then add what it has of other mixtures."""
    with (
        atomic_path(path, scratch=scratch) as temporary,
        machine_errors(path),
        open(temporary, "w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        table = _Table(writer)
        yield table
        if path.exists():
            before = read_table(path, columns)
            writer.writerows(row for row in before if row[_ID] not in table.names)


def _column(name: str) -> str:
    """Return what LibriMix calls a file in a header: source_1 for s1."""
    return name.replace("s", "source_", 1) if name[1:].isdigit() else name


def _single(value: float) -> str:
    """Spell a 32-bit float with as many digits as it needs."""
    return str(np.float32(value))
