"""The tables that the script of LibriMix writes beside its files, with the same bytes.

Libri2Mix/wav8k/min/metadata/mixture_test_mix_both.csv has the absolute paths and the length of
every mixture, metrics_test_mix_both.csv the energy of each source against the rest, in dB. The
script writes these numbers through pandas, which gives a column the number format of its first row.
"""

import contextlib
import csv
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from mixgen.core.files import atomic_path, machine_errors
from mixgen.corpora.tables import read_table
from mixgen.manifest.mixture import MIXTURE, Mixture, Source, published_of
from mixgen.sets.rendered import FileRow, RenderedSet, RowsInOrder

_ID = "mixture_ID"

_Cells = dict[str, str]
_Rows = dict[str, FileRow]


def write_tables(rendered: RenderedSet) -> None:
    """Write the tables of all mixtures of a set; other mixtures in them are kept, and come last.

    Raises:
        InputError: the records of the set, or tables that are there already, cannot be read.
        MachineError: a table cannot be written.
    """
    with contextlib.ExitStack() as stack:
        tables: dict[str, _Table] = {}

        def table(mixture: Mixture, name: str, columns: Sequence[str]) -> _Table:
            """Return the table of a mixture, which is opened for the first one."""
            published = published_of(mixture)
            above, _, subset = published.folder.rpartition("/")
            path = f"{above}/metadata/{name}_{subset}_{published.type}.csv"
            if path not in tables:
                tables[path] = stack.enter_context(_opened(rendered.root / path, columns))
            return tables[path]

        for mixture, rows in finished_mixtures(rendered):
            paths = _paths(mixture, rows, rendered.root)
            table(mixture, "mixture", list(paths)).add(paths)
            ratios = {f"{_column(source.name)}_SNR": source for source in mixture.sources}
            metrics = table(mixture, "metrics", [_ID, *ratios])
            cells = {
                column: metrics.spelled(column, _ratio_db(rows, source), source)
                for column, source in ratios.items()
            }
            metrics.add({_ID: published_of(mixture).name} | cells)


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

    def spelled(self, column: str, value: float, source: Source) -> str:
        """Return a number of a source as the column spells all of its numbers."""
        # Crossfades are in 64-bit floats, and so is all that is computed of what they extend.
        extended = any(step.extend for event in source.events for step in event.steps)
        return self._formats.setdefault(column, repr if extended else _single)(value)


@contextlib.contextmanager
def _opened(path: Path, columns: Sequence[str]) -> Iterator[_Table]:
    """Open a table for new rows, which replace it; then add what it has of other mixtures."""
    with (
        atomic_path(path) as temporary,
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


def finished_mixtures(rendered: RenderedSet) -> Iterator[tuple[Mixture, _Rows]]:
    """Yield the mixtures that are rendered, with the rows of their files by name."""
    recorded = RowsInOrder(rendered.record)
    for mixture in rendered.manifest_file:
        rows = {row.name: row for row in recorded.of(mixture.id)}
        if rows.keys() == set(mixture.file_names):
            yield mixture, rows


def _paths(mixture: Mixture, rows: _Rows, root: Path) -> _Cells:
    """Return the row of a mixture in the table of paths and lengths."""
    cells = {_ID: published_of(mixture).name}
    for name in (MIXTURE, *(source.name for source in mixture.sources)):
        cells[f"{_column(name)}_path"] = os.path.abspath(root / rows[name].path)
    return cells | {"length": str(mixture.frames)}


def _column(name: str) -> str:
    """Return what LibriMix calls a file in a header: source_1 for s1."""
    return name.replace("s", "source_", 1) if name[1:].isdigit() else name


def _ratio_db(rows: _Rows, source: Source) -> float:
    return rows[source.name].measured["energy_ratio_db"] or 0.0


def _single(value: float) -> str:
    """Spell a 32-bit float with as many digits as it needs."""
    return str(np.float32(value))
