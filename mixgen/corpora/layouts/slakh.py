"""Slakh2100 and BabySlakh: [SPLIT/]TrackNNNNN/stems/SNN.flac and metadata.yaml; mix left out.

Layout source: Manilow et al., "Cutting Music Source Separation Some Slakh", WASPAA 2019. The label
is the class of the instrument, and a track may have several stems of one class. The tracks that
Slakh2100-redux takes out, because their notes are in two splits, are the split "omitted".
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import SPLITS, Found, Layout, audio_files
from mixgen.corpora.tables import look_up, read_yaml

_TRACK = re.compile(r"Track\d+")
_STEM = re.compile(r"S\d+")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    metadata = functools.cache(read_yaml)
    for path in audio_files(root):
        track = (root.resolve() / path).parent.parent
        in_stems = path.parent.name == "stems" and _TRACK.fullmatch(track.name)
        if in_stems and _STEM.fullmatch(path.stem):
            about = track / "metadata.yaml"
            label = look_up(metadata(about), about, "stems", path.stem, "inst_class")
            yield Found(
                path.as_posix(),
                "music",
                str(label).lower(),
                group=track.name,
                split=_split(track.parent.name),
            )


def _split(folder: str) -> str:
    return folder if folder == "omitted" else SPLITS.get(folder, "")


LAYOUT = Layout(
    name="slakh",
    summary="Slakh2100, Slakh2100-redux, BabySlakh",
    licence="CC BY 4.0",
    citation="Manilow et al., Cutting Music Source Separation Some Slakh, WASPAA 2019",
    home="http://www.slakh.com",
    find=_find,
)
