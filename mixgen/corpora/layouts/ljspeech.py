"""LJ Speech: wavs/LJ001-0001.wav and metadata.csv, one talker; the chapter is the group.

Layout source: Ito and Johnson, "The LJ Speech Dataset", 2017,
https://keithito.com/LJ-Speech-Dataset.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import Found, Layout, audio_files
from mixgen.corpora.tables import nearest, read_table

_UTTERANCE = re.compile(r"(?P<chapter>LJ\d{3})-\d{4}")
_COLUMNS = ("name", "text", "normalised")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    texts = functools.cache(_texts)
    for path in audio_files(root):
        if match := _UTTERANCE.fullmatch(path.stem):
            text = texts(nearest(root, path, "metadata.csv")).get(path.stem, "")
            yield Found(path.as_posix(), "speech", "LJ", group=match["chapter"], text=text)


def _texts(path: Path | None) -> dict[str, str]:
    """Return the text of each utterance with numbers and abbreviations written out, by name."""
    if path is None:
        return {}
    rows = read_table(path, _COLUMNS, delimiter="|", quoted=False, header=False)
    return {row["name"]: row["normalised"] for row in rows}


LAYOUT = Layout(
    name="ljspeech",
    summary="LJ Speech, one talker",
    licence="Public domain",
    citation="Ito and Johnson, The LJ Speech Dataset, 2017",
    home="https://keithito.com/LJ-Speech-Dataset",
    find=_find,
)
