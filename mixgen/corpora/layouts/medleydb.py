"""MedleyDB: SONG/SONG_STEMS/SONG_STEM_NN.wav and SONG_METADATA.yaml, without mix and raw tracks.

Layout source: Bittner et al., "MedleyDB: A Multitrack Dataset for Annotation-Intensive MIR
Research", ISMIR 2014. The metadata is in the song's folder or, as in version 2, in a folder
Metadata. Songs whose instruments bleed into each other's microphones are skipped: a stem with bleed
is no reference.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.errors import InputError
from mixgen.core.vocabulary import Kind
from mixgen.core.yaml_files import read_yaml
from mixgen.corpora.layout import Found, Layout, audio_files
from mixgen.corpora.tables import look_up, nearest

_STEM = re.compile(r"(?P<song>.+)_STEM_(?P<number>\d+)")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    read = functools.cache(read_yaml)
    for path in audio_files(root):
        match = _STEM.fullmatch(path.stem)
        if match is None:
            continue
        file = _metadata_file(root, path, match["song"])
        metadata = read(file)
        # YAML reads a bare no as False.
        if look_up(metadata, file, "has_bleed") in ("no", False):
            instrument = look_up(metadata, file, "stems", f"S{match['number']}", "instrument")
            # A few stems hold two instruments.
            names = instrument if isinstance(instrument, list) else [instrument]
            yield Found(path.as_posix(), "music", ", ".join(map(str, names)), group=match["song"])


def _metadata_file(root: Path, path: Path, song: str) -> Path:
    name = f"{song}_METADATA.yaml"
    found = nearest(root, path, name) or nearest(root, path, f"Metadata/{name}")
    if found is None:
        raise InputError(
            f"No {name} found for {root / path}: put it into the song's folder or into Metadata."
        )
    return found


LAYOUT = Layout(
    name="medleydb",
    summary="MedleyDB songs without bleed",
    licence="CC BY-NC-SA 4.0",
    citation=(
        "Bittner et al., MedleyDB: A Multitrack Dataset for Annotation-Intensive MIR "
        "Research, ISMIR 2014"
    ),
    home="https://medleydb.weebly.com",
    find=_find,
)
