"""Multitrack songs in the folders of MUSDB18-HQ: [SPLIT/]SONG/STEM.wav, without mixture.wav.

Layout source: Rafii et al., "MUSDB18-HQ", 2019, doi:10.5281/zenodo.3338373.
"""

from collections.abc import Iterator
from pathlib import Path

from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import SPLITS, Found, Layout, audio_files
from mixgen.corpora.musdb_mp4 import song_name, stem_mp4_files

_STEMS = ("vocals", "drums", "bass", "other")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    decoded = set()
    for path in audio_files(root):
        if path.stem in _STEMS and len(path.parts) > 1:
            song = path.parent
            decoded.add(song.name)
            split = SPLITS.get(song.parent.name or root.resolve().name, "")
            yield Found(path.as_posix(), "music", path.stem, group=song.as_posix(), split=split)
    for path in stem_mp4_files(root):
        if song_name(path) not in decoded:
            yield _compressed(path, root)


def _compressed(path: Path, root: Path) -> Found:
    """Return a compressed song, whose stems are decoded nowhere below the root."""
    reason = (
        f"{path} is a compressed song, which this layout cannot read: decode all songs once with "
        f"`mixgen convert {root} --out FOLDER` and index FOLDER."
    )
    below = path.relative_to(root).as_posix()
    return Found(below, "music", "", group=below, unusable=reason)


LAYOUT = Layout(
    name="stems",
    summary="songs as folders of vocals, drums, bass, other (MUSDB18-HQ)",
    citation="Rafii et al., MUSDB18-HQ, 2019, doi 10.5281/zenodo.3338373",
    home="https://sigsep.github.io/datasets/musdb.html",
    find=_find,
)
