"""ESC-50: audio/*.wav and meta/esc50.csv (or esc50.csv beside the clips); a fold is a split.

Layout source: Piczak, "ESC: Dataset for Environmental Sound Classification", ACM MM 2015. The clips
from one recording form one group, and one fold holds them all.
"""

import functools
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.errors import InputError
from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files
from mixgen.corpora.tables import nearest, read_table

_COLUMNS = ("filename", "fold", "category", "esc10", "src_file")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    clips = functools.cache(_clips)
    for path in audio_files(root):
        clip = clips(_table(root, path)).get(path.name)
        if clip:
            yield Found(
                path.as_posix(),
                "noise",
                clip["category"],
                group=clip["src_file"],
                split=f"fold{clip['fold']}",
                licence="CC BY 3.0" if clip["esc10"].lower() == "true" else "",
            )


def _table(root: Path, path: Path) -> Path:
    table = nearest(root, path, "meta/esc50.csv") or nearest(root, path, "esc50.csv")
    if table is None:
        raise InputError(
            f"No meta/esc50.csv found for {root / path}: add this table, which holds the labels."
        )
    return table


def _clips(table: Path) -> dict[str, dict[str, str]]:
    return {row["filename"]: row for row in read_table(table, _COLUMNS)}


LAYOUT = Layout(
    name="esc50",
    summary="ESC-50",
    licence="CC BY-NC 3.0",
    citation="Piczak, ESC: Dataset for Environmental Sound Classification, ACM MM 2015",
    home="https://github.com/karolpiczak/ESC-50",
    find=_find,
)
