"""Tables of a rendered set as SpeechBrain's recipes for separation read them.

OUT/<split>.csv has a row for each mixture: ID, duration in seconds, and three columns for each
file, as in `mix_wav`, `mix_wav_format`, `mix_wav_opts`: the mixture, the references s1, s2 and so
on, and the noise.

Source: the tables that SpeechBrain's recipes LibriMix and WSJ0Mix write (M. Ravanelli et al.,
"SpeechBrain: A General-Purpose Speech Toolkit", 2021, arXiv 2106.04624). Their ID is a running
number and their duration is always 1.0; here these are the id and the duration of the mixture.
"""

import csv
import re

from mixgen.core.errors import InputError
from mixgen.core.progress import track
from mixgen.export._columns import rows_of, tables_of
from mixgen.export.exporter import (
    Export,
    Exporter,
    RenderedMixture,
    TextFiles,
    new_folder,
    rendered_mixtures,
)

_ROOT = "$data_root/"  # the recipes put their `data_folder` in its place
_VARIABLE = re.compile(r"\$[\w.]")


def export_speechbrain(export: Export) -> str:
    """Write a table for each split; a mixture with fewer files than others has empty cells.

    Raises:
        InputError: there is no rendered set, it was not finished, it has no such split,
            SpeechBrain would take a part of a path for a variable, or as in `new_folder`.
        UsageError, MachineError: as in `new_folder`.
    """
    rendered = export.rendered_set()
    root = export.audio_root(relative_to=_ROOT)
    names = {split: table.names for split, table in tables_of(rendered, export.split).items()}
    written = 0
    with new_folder(export, "speechbrain") as folder, TextFiles(folder) as files:
        tables = {split: csv.writer(files[f"{split}.csv"], lineterminator="\n") for split in names}
        for split, table in tables.items():
            table.writerow(_header(names[split]))
        for mixture in track(rendered_mixtures(rendered, export.split), "exporting"):
            split = mixture.record.split
            tables[split].writerow(_row(mixture, names[split], root))
            written += 1
    return f"{written} mixtures in {len(tables)} tables in {export.out}."


def _header(names: list[str]) -> list[str]:
    return ["ID", "duration"] + [
        f"{name}_wav{ending}" for name in names for ending in ("", "_format", "_opts")
    ]


def _row(mixture: RenderedMixture, names: list[str], root: str) -> list[str]:
    rows = rows_of(mixture)
    cells = [mixture.record.id, repr(mixture.record.duration_s)]
    for name in names:
        path = rows[name].path if name in rows else ""
        cells += [path and _path(root, path), path.rpartition(".")[2], ""]
    return cells


def _path(root: str, path: str) -> str:
    """Return the path of a file; SpeechBrain replaces every `$name` in it."""
    if _VARIABLE.search((root + path).removeprefix(_ROOT)):
        raise InputError(
            f"SpeechBrain would take a part of {root}{path} for a variable: give the folder a name "
            "without '$', or use --paths relative."
        )
    return root + path


EXPORTER = Exporter(
    name="speechbrain",
    summary="a folder of tables (CSV) for SpeechBrain's recipes for separation",
    example="mixgen export sets/speech --to speechbrain --out tables/speech",
    write=export_speechbrain,
    relative_paths=True,
)
