"""Divide and Remaster (DnR) v2: music, effects and speech of 60 s at 44.1 kHz.

Petermann, Wichern, Wang and Le Roux, "The cocktail fork problem: three-stem audio separation for
real-world soundtracks", ICASSP 2022. The samples are those of its script compile_dataset.py, which
builds the set again from the annotations that were published.

A table annots.csv has the clips of one mixture: file, class, seconds in the mixture and in the
file, and gain. Seconds become samples without their fraction, and a clip is as long as the shortest
of file, clip and place. Clips are added up by class in 64-bit floats; effects and background are
one stem.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mixgen.core.errors import InputError
from mixgen.core.files import canonical_json, sha256_bytes, sha256_file
from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import SPLITS
from mixgen.corpora.tables import read_table
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import Clip, Gain, Level, Mixture, Source
from mixgen.manifest.published import Arithmetic, Published, Step
from mixgen.published.importing import (
    Corpus,
    Imported,
    ListedMixture,
    SetImport,
    SourceFile,
    number,
)
from mixgen.published.options import AllowMissing, Manifest, SourceLists
from mixgen.published.published_set import PublishedSet
from mixgen.sets.layout import Layout

_SCRIPT = "darius522/dnr-utils@93d47e4"
_TABLE = "annots.csv"
_RATE = 44100
_FRAMES = 60 * _RATE
_COLUMNS = (
    "index",
    "file",
    "class",
    "mix start time",
    "mix end time",
    "clip start time",
    "clip end time",
    "clip gain",
    "annotation",
)
_TIMES = _COLUMNS[3:7]
_STEMS: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "music": ("music", ("music",)),
    "sfx": ("noise", ("sfx", "background")),
    "speech": ("speech", ("speech",)),
}
"""The stems in the order of their sum, with the kind of their sounds and their submixes."""


@dataclass(frozen=True, slots=True)
class _Clip:
    """A clip: its class, samples in the mixture and in the file, gain and annotation."""

    kind: str
    start: int
    end: int
    first: int
    last: int
    gain: float
    annotation: str

    def frames_of(self, file: SourceFile) -> int:
        """Return how many samples of a file the clip has."""
        return min(file.frames, self.last - self.first, self.end - self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene(ListedMixture):
    """A mixture with a clip for each of its files."""

    clips: tuple[_Clip, ...]


def import_dnr(
    metadata: Annotated[
        list[Path],
        typer.Option("--metadata", help="Folder of a subset with ID/annots.csv; repeatable."),
    ],
    music: Annotated[
        Path, typer.Option("--music", help="Folder of FMA as the set's script converts it.")
    ],
    speech: Annotated[
        Path, typer.Option("--speech", help="Folder of LibriSpeech at 44.1 kHz, likewise.")
    ],
    sfx: Annotated[
        Path, typer.Option("--sfx", help="Folder of the foreground of FSD50K, likewise.")
    ],
    background: Annotated[
        Path, typer.Option("--background", help="Folder of the background of FSD50K, likewise.")
    ],
    out: Manifest,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import Divide and Remaster v2, a subset at a time.

    Example: mixgen import dnr --metadata dnr_v2/tt --music FMA/eval --speech LibriSpeech/eval
    --sfx FSD50K/foreground/eval --background FSD50K/background/eval --out M.jsonl
    """
    tables = {folder: _tables(folder) for folder in metadata}
    licences = {
        "music": (music, "per track: CC licences, some CC BY-NC"),
        "speech": (speech, "CC BY 4.0"),
        "sfx": (sfx, "per clip: CC0, CC BY, CC BY-NC or CC Sampling+"),
        "background": (background, "per clip: CC0, CC BY, CC BY-NC or CC Sampling+"),
    }
    plan = SetImport[_Scene](
        header=Import(
            published="dnr",
            lists={folder.name: _hash(paths) for folder, paths in tables.items()},
            script=_SCRIPT,
        ),
        name="dnr_v2",
        task="cinematic_separation",
        sample_format="wav_float",
        corpora=[
            Corpus(f"dnr_{name}", root, f"--{name}", "folder", _RATE, licence)
            for name, (root, licence) in licences.items()
        ],
        variants=[[_RATE]],
        records=lambda scene, files: [_record(scene, files)],
        problem=_problem,
    )
    scenes = [_listed(path) for paths in tables.values() for path in paths]
    return plan.write(scenes, out, sources=sources or (), allow_missing=allow_missing)


def _tables(folder: Path) -> list[Path]:
    """Return the annotations of a subset, in the order of their mixtures."""
    paths = sorted(folder.rglob(_TABLE))
    if not paths:
        raise InputError(f"{folder} has no ID/{_TABLE}: give the folder of a subset, such as tt.")
    return paths


def _hash(paths: Sequence[Path]) -> str:
    """Return one hash of the annotations of a subset and of the names of their mixtures."""
    hashes = [[path.parent.name, sha256_file(path)] for path in paths]
    return sha256_bytes(canonical_json(hashes).encode())


def _listed(path: Path) -> _Scene:
    """Return the mixture of a table, whose columns the script takes in their order."""
    keys, clips = [], []
    for line, kind, file, clip in _rows(path):
        if kind not in itertools.chain.from_iterable(names for _, names in _STEMS.values()):
            raise InputError(f"{path} line {line}: there is no class {kind!r} in this set.")
        keys.append((f"dnr_{kind}", file.partition("/")[2]))
        clips.append(clip)
    return _Scene(
        where=str(path),
        name=path.parent.name,
        subset=path.parent.parent.name,
        files=tuple(keys),
        clips=tuple(clips),
    )


def _rows(path: Path) -> Iterator[tuple[int, str, str, _Clip]]:
    """Yield the line, the class, the file and the clip of each row."""
    rows = itertools.islice(read_table(path, _COLUMNS, header=False), 1, None)
    for line, row in enumerate(rows, start=2):
        where = f"{path} line {line}"
        start, end, first, last = (int(number(row[name], where) * _RATE) for name in _TIMES)
        if not (0 <= start <= end and 0 <= first <= last):
            raise InputError(f"{where}: a clip ends before it begins: restore the original table.")
        gain = number(row["clip gain"], where)
        kind = row["class"]
        yield line, kind, row["file"], _Clip(kind, start, end, first, last, gain, row["annotation"])


def _problem(scene: _Scene, files: Sequence[SourceFile]) -> str | None:
    """Return why a clip cannot be placed, which stops the script; None if all can."""
    for clip, file in zip(scene.clips, files, strict=True):
        frames = clip.frames_of(file)
        if clip.first + frames > file.frames:
            return (
                f"{file.path} has {file.frames} samples, and a clip of it ends at "
                f"{clip.first + frames}: restore the original file"
            )
        if clip.start + frames > _FRAMES:
            return f"a clip of {file.path} ends after 60 s: restore the original table"
    return None


def _record(scene: _Scene, files: Sequence[SourceFile]) -> Mixture:
    clips = list(zip(scene.clips, files, strict=True))
    sources = [_stem(name, kind, submixes, clips) for name, (kind, submixes) in _STEMS.items()]
    return Mixture(
        id=f"{scene.subset}_{scene.name}",
        split=SPLITS.get(scene.subset, scene.subset),
        sample_rate=_RATE,
        channels=1,
        frames=_FRAMES,
        seed=0,
        sources=sources,
        level=Level(reference_db=0.0),
        clip=Clip(rule="none"),
        targets=[source.name for source in sources],
        arithmetic=Arithmetic(numbers="float64", sum_of="signals"),
        published=Published(name=scene.name, folder=scene.subset),
    )


def _stem(
    name: str, kind: Kind, submixes: Sequence[str], clips: Sequence[tuple[_Clip, SourceFile]]
) -> Source:
    """Return a stem: its submixes are added up one by one, as the script does."""
    events = [
        dataclasses.replace(file, text=clip.annotation if kind == "speech" else "").event(
            [Step(multiply=clip.gain)],
            frames=clip.frames_of(file),
            start=clip.start,
            first=clip.first,
            submix=index,
        )
        for index, submix in enumerate(submixes)
        for clip, file in clips
        if clip.kind == submix and clip.frames_of(file) > 0
    ]
    return Source(
        name=name, role="target", label=name, kind=kind, events=events, gain=Gain(rule="lufs")
    )


DNR = PublishedSet(
    name="dnr",
    importer=import_dnr,
    layout=Layout(name="dnr", mixture="{folder}/{name}/mix", source="{folder}/{name}/{file}"),
)
