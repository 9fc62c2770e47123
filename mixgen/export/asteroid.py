"""Lists of a rendered set as the datasets of Asteroid read them, `LibriMix` and those of WSJ0.

- OUT/librimix/<split>/mixture_<split>_<kind>.csv: a row for each mixture, with the columns and the
  file name that LibriMix has.
- OUT/wham/<split>/: mix.json, s1.json, s2.json, noise.json: for each mixture [path, samples], or
  null if it has no such file. <kind>.json is the same as mix.json.

The kind is `mix_clean` if all mixtures of the split are the sum of their references, else
`mix_single` with one reference, and `mix_both` with several.

Source: the files that Asteroid's recipes LibriMix, WHAM and wsj0-mix write (M. Pariente et al.,
"Asteroid: The PyTorch-Based Audio Source Separation Toolkit for Researchers", Interspeech 2020,
arXiv 2005.04132).
"""

import csv

from mixgen.core.errors import InputError
from mixgen.core.files import to_json
from mixgen.core.progress import track
from mixgen.export._columns import NOISE, REFERENCE, Column, SplitTable, rows_of, tables_of
from mixgen.export.exporter import (
    Export,
    Exporter,
    RenderedMixture,
    TextFiles,
    new_folder,
    rendered_mixtures,
)


def export_asteroid(export: Export) -> str:
    """Write the lists of each split.

    Raises:
        InputError: there is no rendered set, it was not finished, it has no such split, it has
            several channels, or as in `new_folder`.
        UsageError, MachineError: as in `new_folder`.
    """
    rendered = export.rendered_set()
    root = export.audio_root()
    tables, written = tables_of(rendered, export.split), 0
    with new_folder(export, "asteroid") as folder, TextFiles(folder) as files:
        lists = {split: _SplitLists(files, split, table, root) for split, table in tables.items()}
        for mixture in track(rendered_mixtures(rendered, export.split), "exporting"):
            lists[mixture.record.split].add(mixture)
            written += 1
        for split_lists in lists.values():
            split_lists.finish()
    return f"{written} mixtures in {export.out}."


class _SplitLists:
    """The table and the JSON lists of a split, which grow by one mixture at a time."""

    def __init__(self, files: TextFiles, split: str, table: SplitTable, root: str) -> None:
        self._kind, self._root = _kind(table), root
        columns = sorted(column for column in table.columns if REFERENCE <= column.holds <= NOISE)
        self._in_table = [column.name for column in columns]
        path = f"librimix/{split}/mixture_{split}_{self._kind}.csv"
        self._table = csv.writer(files[path], lineterminator="\n")
        self._table.writerow(["mixture_ID", "mixture_path", *map(_header, columns), "length"])
        names = [self._kind, *table.names]
        self._lists = {name: files[f"wham/{split}/{name}.json"] for name in names}
        self._before = "[\n"

    def add(self, mixture: RenderedMixture) -> None:
        """Append a mixture.

        Raises:
            InputError: it has several channels.
        """
        record = mixture.record
        if record.channels > 1:
            raise InputError(
                f"Mixture {record.id} has {record.channels} channels, and Asteroid's datasets read "
                "files of one: export it to lhotse, speechbrain or huggingface."
            )
        rows = rows_of(mixture)
        mix = rows[self._kind] = rows["mix"]
        for name, stream in self._lists.items():
            row = rows.get(name)
            entry = None if row is None else [self._root + row.path, row.frames]
            stream.write(self._before + to_json(entry))
        self._before = ",\n"
        paths = [self._root + rows[name].path if name in rows else "" for name in self._in_table]
        self._table.writerow([record.id, self._root + mix.path, *paths, mix.frames])

    def finish(self) -> None:
        """Write what comes after the last mixture."""
        for stream in self._lists.values():
            stream.write("\n]\n")


def _kind(table: SplitTable) -> str:
    if table.is_clean:
        return "mix_clean"
    references = sum(column.holds == REFERENCE for column in table.columns)
    return "mix_both" if references > 1 else "mix_single"


def _header(column: Column) -> str:
    if column.holds == REFERENCE:
        return f"source_{column.number}_path"
    return f"{column.name}_path"


EXPORTER = Exporter(
    name="asteroid",
    summary="a folder of lists (CSV, JSON) for Asteroid's datasets LibriMix, WHAM and wsj0-mix",
    example="mixgen export sets/speech --to asteroid --out lists/speech",
    write=export_asteroid,
)
