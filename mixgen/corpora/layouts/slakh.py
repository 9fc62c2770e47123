"""Slakh2100 and BabySlakh: [SPLIT/]TrackNNNNN/stems/SNN.flac and metadata.yaml, without the mix.

Layout source: Manilow et al., "Cutting Music Source Separation Some Slakh", WASPAA 2019. The label
is the class of the instrument, and a track may have several stems of one class. Slakh2100-redux
moves the tracks whose notes occur in two splits to a folder "omitted", which is a split here.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.core.yaml_files import read_yaml
from mixgen.corpora.layout import SPLITS, Found, Layout, audio_files
from mixgen.corpora.tables import look_up

_TRACK = re.compile(r"Track\d+")
_STEM = re.compile(r"S\d+")
_SPLITS = {**SPLITS, "omitted": "omitted"}


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    metadata = functools.cache(read_yaml)
    for path in audio_files(root):
        track = (root.resolve() / path).parent.parent
        in_stems = path.parent.name == "stems" and _TRACK.fullmatch(track.name)
        if in_stems and _STEM.fullmatch(path.stem):
            file = track / "metadata.yaml"
            label = look_up(metadata(file), file, "stems", path.stem, "inst_class")
            yield Found(
                path.as_posix(),
                "music",
                str(label).lower(),
                group=track.name,
                split=_SPLITS.get(track.parent.name, ""),
            )


LAYOUT = Layout(
    name="slakh",
    summary="Slakh2100, Slakh2100-redux, BabySlakh",
    licence="CC BY 4.0",
    citation="Manilow et al., Cutting Music Source Separation Some Slakh, WASPAA 2019",
    home="http://www.slakh.com",
    find=_find,
)
