"""MUSDB18: songs as four stems, from MUSDB18-HQ or from the compressed files of MUSDB18.

Rafii et al., "The MUSDB18 corpus for music separation", 2017, doi:10.5281/zenodo.1117372, and
"MUSDB18-HQ", 2019, doi:10.5281/zenodo.3338373. The samples of the linear mixture are those of the
Python package musdb, which adds up vocals, bass, drums and other in 64-bit floats.

There are two mixtures of a song: the published one, and the linear one, which is the sum of the
stems. They differ, because every stream of MUSDB18 was compressed by itself, and every file of
MUSDB18-HQ was rounded to 16 bits by itself.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import soundfile
import typer

from mixgen.core.errors import InputError
from mixgen.core.progress import track
from mixgen.corpora.musdb_mp4 import convert_stem_mp4, decoded_files, stem_mp4_files
from mixgen.corpora.tables import read_table
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import MIXTURE, Clip, Gain, Level, Mixture, Source
from mixgen.manifest.published import Arithmetic, Published
from mixgen.published.importing import (
    Corpus,
    Imported,
    ListedMixture,
    SetImport,
    SourceFile,
    id_of,
    list_hashes,
)
from mixgen.published.options import AllowMissing, Manifest, SourceLists, chosen
from mixgen.published.published_set import PublishedSet
from mixgen.sets.layout import Layout

VALIDATION_SONGS = frozenset(
    {
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    }
)
"""Songs of the folder `train` that are for validation, by the configuration of musdb."""

_SCRIPT = "sigsep/sigsep-mus-db@c018167"
_RATE = 44100
_CHANNELS = 2
_STEMS = ("vocals", "bass", "drums", "other")  # in the order in which musdb adds them up
_LINEAR = "linear_mixture"
_TYPES = (MIXTURE, _LINEAR)
_SUBSETS = ("train", "test")
_COLUMNS = ("Track Name", "License")  # of tracklist.csv


def import_musdb(
    musdb: Annotated[
        Path, typer.Option("--musdb", help="Folder of MUSDB18-HQ, or of .stem.mp4 files.")
    ],
    out: Manifest,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="mixture (default) or linear_mixture; repeatable."),
    ] = None,
    decoded: Annotated[
        Path | None,
        typer.Option("--decoded", help="Where .stem.mp4 files are decoded to (needs ffmpeg)."),
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option("--metadata", help="tracklist.csv with the licence of each song.")
    ] = None,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import MUSDB18 or MUSDB18-HQ, whole songs or their samples of 7 seconds.

    Example: mixgen import musdb --musdb musdb18hq --type mixture --type linear_mixture
    --out M.jsonl
    """
    types = chosen(types or _TYPES[:1], _TYPES, "--type")
    left_out: list[tuple[str, str]] = []
    root = musdb
    compressed = stem_mp4_files(musdb)
    if compressed:
        root = decoded or out.parent / "musdb18-wav"
        left_out = _decode(compressed, root, allow_missing=allow_missing)
    songs = list(_listed(root))
    if not songs:
        raise InputError(f"{musdb} has no songs: give the folder with train and test.")
    licences = _licences(metadata)
    exact = {song.name: _has_integers(root, song) for song in songs}

    def records(song: ListedMixture, files: Sequence[SourceFile]) -> list[Mixture]:
        own = [replace(f, licence=licences.get(song.name, f.licence)) for f in files]
        return [_record(song, own, kind, is_exact=exact[song.name]) for kind in types]

    only_integers = all(exact.values()) and types == [MIXTURE]
    plan = SetImport(
        header=Import(
            published="musdb", lists=list_hashes([metadata] if metadata else []), script=_SCRIPT
        ),
        name="musdb18",
        task="music_separation",
        sample_format="wav16" if only_integers else "wav_float",
        corpora=[Corpus("musdb18", root, "--musdb", "stems", _RATE)],
        variants=[(kind,) for kind in types],
        records=records,
        problem=_problem,
    )
    imported = plan.write(songs, out, sources=sources or (), allow_missing=allow_missing)
    return Imported(imported.mixtures, [*left_out, *imported.left_out])


def _decode(
    compressed: Sequence[Path], folder: Path, *, allow_missing: bool
) -> list[tuple[str, str]]:
    """Decode the songs that are not decoded yet; return those that cannot be, with the reason."""
    left_out = []
    for path in track(compressed, "decoding songs"):
        if all(file.is_file() for file in decoded_files(path, folder)):
            continue
        try:
            convert_stem_mp4(path, folder)
        except InputError as error:
            if not allow_missing:
                raise
            left_out.append((path.name, str(error)))
    return left_out


def _listed(root: Path) -> Iterator[ListedMixture]:
    """Yield the songs of a folder: the mixture, and the stems in the order of their sum.

    Songs that are in no folder `train` count as those of `test`.
    """
    below = (root.glob(f"{pattern}/{name}.wav") for pattern in ("*", "*/*") for name in _STEMS)
    for folder in sorted({path.parent for path in itertools.chain.from_iterable(below)}):
        path = folder.relative_to(root).as_posix()
        subset = folder.parent.name if folder.parent.name in _SUBSETS else "test"
        files = tuple(("musdb18", f"{path}/{name}.wav") for name in (MIXTURE, *_STEMS))
        yield ListedMixture(where=path, name=folder.name, subset=subset, files=files)


def _licences(metadata: Path | None) -> Mapping[str, str]:
    """Return the licence of each song by its name, as far as a list has it."""
    if metadata is None:
        return {}
    return {row["Track Name"]: row["License"] for row in read_table(metadata, _COLUMNS)}


def _has_integers(root: Path, song: ListedMixture) -> bool:
    """Return whether the stems of a song are 16-bit files; decoded songs are floats."""
    paths = [root / path for _, path in song.files]
    return all(not path.is_file() or _subtype(path) == "PCM_16" for path in paths)


def _subtype(path: Path) -> str:
    try:
        return str(soundfile.info(path).subtype)
    except soundfile.LibsndfileError:
        return ""  # the import says what is wrong with it


def _problem(_: ListedMixture, files: Sequence[SourceFile]) -> str | None:
    lengths = {file.frames for file in files}
    if len(lengths) > 1:
        shown = f"{min(lengths)} and {max(lengths)} samples"
        return f"its stems and its mixture have {shown}: restore the original files"
    return None


def _record(
    song: ListedMixture, files: Sequence[SourceFile], kind: str, *, is_exact: bool
) -> Mixture:
    whole, *stems = files
    is_linear = kind == _LINEAR
    return Mixture(
        id=f"{id_of(song.name)}__{kind}",
        split="valid" if song.name in VALIDATION_SONGS else song.subset,
        sample_rate=_RATE,
        channels=_CHANNELS,
        frames=whole.frames,
        seed=0,
        sources=[
            Source(
                name=name,
                role="target",
                label=name,
                kind="music",
                events=[file.event([])],
                gain=Gain(rule="lufs"),
            )
            for name, file in zip(_STEMS, stems, strict=True)
        ],
        level=Level(reference_db=0.0),
        clip=Clip(rule="none"),
        targets=sorted(_STEMS),
        # 32-bit floats hold the sums of 16-bit stems, but not those of decoded ones.
        arithmetic=Arithmetic(
            numbers="float64" if is_linear and not is_exact else "float32",
            sum_of="files" if is_linear and is_exact else "signals",
        ),
        recorded=None if is_linear else whole.event([]),
        published=Published(name=song.name, folder=song.subset, type=kind),
    )


MUSDB = PublishedSet(
    name="musdb",
    importer=import_musdb,
    layout=Layout(name="musdb", mixture="{folder}/{name}/{type}", source="{folder}/{name}/{file}"),
)
