"""Common Voice: LANGUAGE/clips/*.mp3 with train.tsv, dev.tsv, test.tsv and validated.tsv.

Layout source: Ardila et al., "Common Voice: A Massively-Multilingual Speech Corpus", LREC 2020.
Clips that none of these tables lists are skipped: their talker is unknown, or listeners rejected
them.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mixgen.core.errors import InputError
from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import SPLITS, Found, Layout, audio_files
from mixgen.corpora.tables import read_table

# The other tables repeat clips of "validated" and set their split, so they are read after it.
_TABLES = ("validated", "train", "dev", "test")
_COLUMNS = ("client_id", "path", "sentence")


@dataclass(frozen=True, slots=True)
class _Clip:
    talker: str
    text: str
    split: str


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    clips = functools.cache(_clips)
    for path in audio_files(root):
        in_clips = path.parent.name == "clips"
        clip = clips((root / path).parent.parent).get(path.stem) if in_clips else None
        if clip:
            yield Found(
                path.as_posix(),
                "speech",
                clip.talker,
                group=clip.talker,
                split=clip.split,
                text=clip.text,
            )


def _clips(language: Path) -> dict[str, _Clip]:
    """Return the clips that the tables in the folder of a language list, by name."""
    tables = [name for name in _TABLES if (language / f"{name}.tsv").is_file()]
    if not tables:
        raise InputError(
            f"{language} has clips but none of the tables {', '.join(_TABLES)} (.tsv): add them."
        )
    return {
        Path(row["path"]).stem: _Clip(row["client_id"], row["sentence"], SPLITS.get(name, ""))
        for name in tables
        for row in read_table(language / f"{name}.tsv", _COLUMNS, delimiter="\t", quoted=False)
    }


LAYOUT = Layout(
    name="common_voice",
    summary="Common Voice, one or more languages",
    licence="CC0 1.0",
    citation="Ardila et al., Common Voice: A Massively-Multilingual Speech Corpus, LREC 2020",
    home="https://commonvoice.mozilla.org",
    find=_find,
)
