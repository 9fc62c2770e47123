"""Multitrack songs in the folders of MUSDB18-HQ: [SPLIT/]SONG/STEM.wav, without mixture.wav.

Layout source: Rafii et al., "MUSDB18-HQ", 2019, doi:10.5281/zenodo.3338373.
"""

from collections.abc import Iterator
from pathlib import Path

from mixgen.core.errors import InputError
from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import SPLITS, Found, Layout, audio_files
from mixgen.corpora.musdb_mp4 import song_name, stem_mp4_files

_STEMS = ("vocals", "drums", "bass", "other")


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    _refuse_compressed(root)
    for path in audio_files(root):
        if path.stem in _STEMS and len(path.parts) > 1:
            song = path.parent
            split = SPLITS.get(song.parent.name or root.resolve().name, "")
            yield Found(path.as_posix(), "music", path.stem, group=song.as_posix(), split=split)


def _refuse_compressed(root: Path) -> None:
    """Raise an InputError for the first compressed song that is not decoded beside itself."""
    for path in stem_mp4_files(root):
        if not (path.with_name(song_name(path)) / "vocals.wav").is_file():
            raise InputError(
                f"{path} is a compressed song, which this layout cannot read: decode all songs "
                f"once with `mixgen convert {root} --out FOLDER` and index FOLDER."
            )


LAYOUT = Layout(
    name="stems",
    summary="songs as folders of vocals, drums, bass, other (MUSDB18-HQ)",
    citation="Rafii et al., MUSDB18-HQ, 2019, doi 10.5281/zenodo.3338373",
    home="https://sigsep.github.io/datasets/musdb.html",
    find=_find,
)
