"""The tables that the script of LibriMix writes beside its files, with the same bytes.

Libri2Mix/wav8k/min/metadata/mixture_test_mix_both.csv has the absolute paths and the length of
every mixture, metrics_test_mix_both.csv the energy of each source against the rest, in dB. The
script writes these numbers through pandas, which gives a column the number format of its first row.
"""

import csv
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mixgen.core.files import read_text, write_csv
from mixgen.manifest.mixture import MIXTURE, Mixture, published_of
from mixgen.sets.rendered import FileRow, RenderedSet, RowsInOrder

_Cells = dict[str, str]
_Rows = dict[str, FileRow]


def write_tables(rendered: RenderedSet) -> None:
    """Write the tables of all mixtures of a set; other mixtures in them are kept, and come first.

    Raises:
        InputError: the records of the set cannot be read.
        MachineError: a table cannot be written.
    """
    tables: dict[str, list[_Cells]] = {}
    formats: dict[str, Callable[[float], str]] = {}
    for mixture, rows in finished_mixtures(rendered):
        tables.setdefault(_path(mixture, "mixture"), []).append(
            _paths(mixture, rows, rendered.root)
        )
        path = _path(mixture, "metrics")
        metrics: _Cells = {"mixture_ID": published_of(mixture).name}
        for source in mixture.sources:
            column = f"{_column(source.name)}_SNR"
            ratio_db = rows[source.name].measured["energy_ratio_db"] or 0.0
            in_double = any(step.extend for event in source.events for step in event.steps)
            format_of = formats.setdefault(f"{path} {column}", repr if in_double else _single)
            metrics[column] = format_of(ratio_db)
        tables.setdefault(path, []).append(metrics)
    for path, cells in tables.items():
        full = rendered.root / path
        names = {row["mixture_ID"] for row in cells}
        columns = list(cells[0])
        others = [row for row in _read(full, columns) if row["mixture_ID"] not in names]
        write_csv(full, columns, [*others, *cells])


def finished_mixtures(rendered: RenderedSet) -> Iterator[tuple[Mixture, _Rows]]:
    """Yield the mixtures that are rendered, with the rows of their files by name."""
    recorded = RowsInOrder(rendered.record)
    for mixture in rendered.manifest_file:
        rows = {row.name: row for row in recorded.of(mixture.id)}
        if rows.keys() == set(mixture.file_names):
            yield mixture, rows


def _path(mixture: Mixture, table: str) -> str:
    """Return where a table of a mixture is: in `metadata` beside the folder of its subset."""
    published = published_of(mixture)
    above, _, subset = published.folder.rpartition("/")
    return f"{above}/metadata/{table}_{subset}_{published.type}.csv"


def _paths(mixture: Mixture, rows: _Rows, root: Path) -> _Cells:
    """Return the row of a mixture in the table of paths and lengths."""
    cells = {"mixture_ID": published_of(mixture).name}
    for name in (MIXTURE, *(source.name for source in mixture.sources)):
        cells[f"{_column(name)}_path"] = os.path.abspath(root / rows[name].path)
    return cells | {"length": str(mixture.frames)}


def _column(name: str) -> str:
    """Return what LibriMix calls a file in a header: source_1 for s1."""
    return name.replace("s", "source_", 1) if name[1:].isdigit() else name


def _single(value: float) -> str:
    """Spell a 32-bit float with as many digits as it needs."""
    return str(np.float32(value))


def _read(path: Path, columns: list[str]) -> list[_Cells]:
    """Return the rows of a table that is there already; none if it has other columns."""
    if not path.is_file():
        return []
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    return list(reader) if reader.fieldnames == columns else []
