"""Multitrack songs in the form of MUSDB18-HQ: [SPLIT/]SONG/STEM.wav, with mixture.wav left out.

Layout source: Rafii et al., "MUSDB18-HQ", 2019, doi:10.5281/zenodo.3338373.
"""

from collections.abc import Iterator
from pathlib import Path

from mixgen.corpora import Found, Layout, audio_files
from mixgen.manifest import Kind

_SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "test": "test"}
_STEMS = ("vocals", "drums", "bass", "other")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    for path in audio_files(root):
        if path.stem in _STEMS and len(path.parts) > 1:
            song = path.parent
            split = _SPLITS.get(song.parent.name or root.resolve().name, "")
            yield Found(path.as_posix(), "music", path.stem, group=song.as_posix(), split=split)


LAYOUT = Layout("stems", "songs as folders of vocals, drums, bass, other (MUSDB18-HQ)", "", _find)
