"""LibriSpeech: SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-UTTERANCE.flac and transcripts beside them.

Layout source: Panayotov et al., "Librispeech: an ASR corpus based on public domain audio books",
ICASSP 2015. Excerpts without the chapter folder are read as well.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import SPLITS, Found, Layout, audio_files

_UTTERANCE = re.compile(r"(?P<speaker>\d+)-(?P<chapter>\d+)-\d+")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    transcripts = functools.cache(_transcripts)
    for path in audio_files(root):
        match = _UTTERANCE.fullmatch(path.stem)
        if match is None:
            continue
        chapter = f"{match['speaker']}-{match['chapter']}"
        texts = transcripts((root / path).parent / f"{chapter}.trans.txt")
        yield Found(
            path.as_posix(),
            "speech",
            label=match["speaker"],
            group=chapter,
            split=_subset(root, path, match["speaker"]),
            text=texts.get(path.stem, ""),
        )


def _subset(root: Path, path: Path, speaker: str) -> str:
    """Return the name of the folder above the speaker's, which may be the root, if it is a subset.

    The names of subsets begin with that of a split, as in train-clean-100.
    """
    parts = (root.resolve().name, *path.parts)
    above = parts.index(speaker, 1) - 1 if speaker in path.parts else 0
    return parts[above] if parts[above].partition("-")[0] in SPLITS else ""


def _transcripts(path: Path) -> dict[str, str]:
    """Return the text of each utterance of a chapter, by name; empty if the file is missing."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {name: text for name, _, text in (line.partition(" ") for line in lines)}


LAYOUT = Layout(
    name="librispeech",
    summary="LibriSpeech and its excerpts",
    licence="CC BY 4.0",
    citation=(
        "Panayotov et al., Librispeech: an ASR corpus based on public domain audio "
        "books, ICASSP 2015"
    ),
    home="https://www.openslr.org/12",
    find=_find,
)
