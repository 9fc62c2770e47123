"""FUSS: one to four sounds of any class, as they are and in rooms.

Wisdom, Erdogan, Ellis, Serizel, Turpault, Fonseca, Salamon, Seetharaman and Hershey, "What's all
the FUSS about free universal sound separation data?", ICASSP 2021. The samples are those of its
scripts reverberate_and_mix.py and check_and_fix_folder.py.

A line of an example list has a mixture, its background and up to three foregrounds, as Scaper wrote
them. With reverberation, the first channel of each is convolved with ten times its room response
and cut to the longest of them. At last, everything is brought to 10 s, and the mixture to the sum
of the files of its sources where it is not close to that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import numpy as np
import typer

from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import read_lines
from mixgen.corpora.layout import SPLITS
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import Clip, Event, Gain, Level, Mixture, Source
from mixgen.manifest.published import Arithmetic, Convolution, Published, Step
from mixgen.published.fuss_tables import write_tables
from mixgen.published.importing import (
    Corpus,
    FileKey,
    Imported,
    ListedMixture,
    SetImport,
    SourceFile,
    list_hashes,
)
from mixgen.published.options import AllowMissing, Lists, Manifest, SourceLists, chosen
from mixgen.published.published_set import PublishedSet
from mixgen.sets.layout import Layout

_SCRIPT = "google-research/sound-separation@d4ba6f1"
_LICENCE = "CC BY 4.0"
_RATE = 16000
_FRAMES = 160000
_GAIN = 10.0  # of responses
_SUBSETS = ("train", "validation", "eval")  # the order in which rooms are drawn
_TYPES = ("dry", "reverb")
_Start = Literal["begin", "peak", "middle"]
_STARTS: dict[str, _Start] = {"causal": "begin", "align_sources": "peak", "same": "middle"}

Pairs = list[tuple[str, str]]
"""The sources of a mixture with their room responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Example(ListedMixture):
    """A mixture whose files are its own, its sources and then their responses, if it has some."""

    sources: int


def import_fuss(
    metadata: Lists,
    ssdata: Annotated[
        Path, typer.Option("--ssdata", help="Folder of the dry set, with train in it.")
    ],
    out: Manifest,
    rirs: Annotated[
        Path | None,
        typer.Option(
            "--rirs", help="mix_info.txt of the script, or rir_list.txt to draw it as the script."
        ),
    ] = None,
    rir_data: Annotated[
        Path | None, typer.Option("--rir-data", help="Folder of the responses, with train in it.")
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="dry or reverb; repeatable (default: all that is given)."),
    ] = None,
    align: Annotated[
        str,
        typer.Option(
            "--align", help="causal, align_sources, or same as in the set that was published."
        ),
    ] = "causal",
    seed: Annotated[
        int, typer.Option("--seed", help="By which the script draws rooms of a rir_list.txt.")
    ] = 123,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import FUSS, dry and with reverberation.

    Example: mixgen import fuss --metadata eval_example_list.txt --ssdata ssdata --rirs mix_info.txt
    --rir-data rir_data --type reverb --out M.jsonl
    """
    if (rirs is None) != (rir_data is None):
        raise UsageError("Give --rirs and --rir-data together: responses are listed and read.")
    (align,) = chosen([align], tuple(_STARTS), "--align")
    types = chosen(types, _TYPES if rirs else _TYPES[:1], "--type")
    corpora = [Corpus("fuss_ssdata", ssdata, "--ssdata", "folder", _RATE, _LICENCE)]
    rooms: dict[str, Pairs] = {}
    examples = [example for path in metadata for example in _examples(path)]
    if rirs is not None and rir_data is not None and "reverb" in types:
        corpora.append(Corpus("fuss_rirs", rir_data, "--rir-data", "folder", _RATE, _LICENCE))
        rooms = _rooms(rirs, [files for _, files in examples], seed)
    mixtures = [_listed(where, files, rooms, rirs) for where, files in examples]
    lists = [*metadata, rirs] if rirs is not None and rooms else metadata
    suffixes = {"dry": "dry", "reverb": "reverb" if align == "causal" else f"reverb_{align}"}
    plan = SetImport[_Example](
        header=Import(published="fuss", lists=list_hashes(lists), script=_SCRIPT),
        name=f"fuss_{suffixes[types[0]]}" if len(types) == 1 else "fuss",
        task="universal_separation",
        sample_format="wav16",
        corpora=corpora,
        variants=[[suffixes[kind]] for kind in types],
        records=lambda mixture, files: [
            _record(mixture, files, kind, suffixes[kind], _STARTS[align]) for kind in types
        ],
    )
    return plan.write(mixtures, out, sources=sources or (), allow_missing=allow_missing)


def _examples(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield where a mixture is listed, and its path followed by those of its sources."""
    for index, line in enumerate(read_lines(path), start=1):
        where, files = f"{path} line {index}", line.rstrip("\r").split("\t")
        stems = [PurePosixPath(name).stem for name in files[1:]]
        if len(files) < 2 or len(set(stems)) < len(stems):
            raise InputError(
                f"{where} is not a mixture and its sources between tabs: restore the original list."
            )
        yield where, files


def _listed(
    where: str, files: Sequence[str], rooms: dict[str, Pairs], rirs: Path | None
) -> _Example:
    """Return a listed mixture; its sources are in the order of the rooms, if there are some."""
    mix, names = files[0], list(files[1:])
    keys: list[FileKey] = [("fuss_ssdata", mix)]
    responses: list[FileKey] = []
    if rooms:
        pairs = rooms.get(mix, [])
        if sorted(source for source, _ in pairs) != sorted(names):
            raise InputError(
                f"{where}: {rirs} does not have a response for each source of {mix}: give the list "
                "that belongs to these examples."
            )
        names = [source for source, _ in pairs]
        responses = [("fuss_rirs", response) for _, response in pairs]
    return _Example(
        where=where,
        name=str(PurePosixPath(mix).with_suffix("")),
        subset=PurePosixPath(mix).parts[0],
        files=(*keys, *(("fuss_ssdata", name) for name in names), *responses),
        sources=len(names),
    )


def _rooms(rirs: Path, examples: Sequence[Sequence[str]], seed: int) -> dict[str, Pairs]:
    """Return the responses of the sources of every mixture, by its path."""
    lines = [line.rstrip("\r") for line in read_lines(rirs)]
    if not any(" = " in line for line in lines):
        return _drawn_rooms(rirs, [line.split("\t") for line in lines], examples, seed)
    rooms: dict[str, Pairs] = {}
    for index, line in enumerate(lines, start=1):
        mix, _, products = line.partition(" = ")
        pairs = [product.split(" * ") for product in products.split(" + ")]
        if any(len(pair) != 2 for pair in pairs):
            raise InputError(
                f"{rirs} line {index} is not `mixture = source * response + ...`: restore the "
                "original list."
            )
        rooms[mix] = [(source, response) for source, response in pairs]
    return rooms


def _drawn_rooms(
    rirs: Path, rows: Sequence[Sequence[str]], examples: Sequence[Sequence[str]], seed: int
) -> dict[str, Pairs]:
    """Draw a room for every mixture as the script does, which shuffles them with numpy's seed.

    Rooms come in their drawn order to the mixtures of a subset in the order of their names, and are
    drawn again when all were used. The n-th background of a mixture gets the n-th response of a
    background, and foregrounds likewise.
    """
    random = np.random.RandomState(seed)
    responses = {row[0]: row[1:] for row in rows}
    rooms: dict[str, Pairs] = {}
    for subset in _SUBSETS:
        names = sorted(row[0] for row in rows if len(row) > 1 and row[1].split("/")[0] == subset)
        mixtures = sorted(list(files) for files in examples if files[1].split("/")[0] == subset)
        if mixtures and not names:
            raise InputError(f"{rirs} has no rooms for {subset}: give the list of all rooms.")
        for index, (mix, *sources) in enumerate(mixtures):
            if index % len(names) == 0:
                random.shuffle(names)
            rooms[mix] = _paired(mix, sources, responses[names[index % len(names)]], rirs)
    return rooms


def _paired(mix: str, sources: Sequence[str], responses: Sequence[str], rirs: Path) -> Pairs:
    pairs: Pairs = []
    for kind in ("background", "foreground"):
        of_kind = [source for source in sources if kind in source]
        fitting = [response for response in responses if kind in response]
        if len(fitting) < len(of_kind):
            raise InputError(
                f"A room of {rirs} has {len(fitting)} responses of a {kind}, and {mix} "
                f"{len(of_kind)} sources: restore the original list."
            )
        pairs += zip(of_kind, fitting, strict=False)
    return pairs


def _record(
    mixture: _Example, files: Sequence[SourceFile], kind: str, suffix: str, start: _Start
) -> Mixture:
    mix, sounds = files[0], files[1 : mixture.sources + 1]
    steps = {sound.path: [Step(channel=0)] for sound in sounds}
    recorded: Event | None = mix.event([Step(channel=0)])
    if kind == "reverb":
        recorded, longest = None, max(sound.frames for sound in sounds)
        for sound, response in zip(sounds, files[mixture.sources + 1 :], strict=True):
            convolution = Convolution(
                corpus=response.corpus,
                path=response.path,
                sha256=response.sha256,
                frames=longest,
                gain=_GAIN,
                start=start,
                licence=response.licence,
            )
            steps[sound.path].append(Step(convolve=convolution))
    sources = [
        Source(
            name=PurePosixPath(sound.path).stem,
            role="target",
            label="sound",
            kind="noise",
            events=[sound.event(steps[sound.path])],
            gain=Gain(rule="lufs"),
        )
        for sound in sounds
    ]
    return Mixture(
        id=f"{mixture.name.replace('/', '_')}__{suffix}",
        split=SPLITS.get(mixture.subset, mixture.subset),
        sample_rate=_RATE,
        channels=1,
        frames=_FRAMES,
        seed=0,
        sources=sources,
        level=Level(reference_db=0.0),
        clip=Clip(rule="none"),
        targets=[source.name for source in sources],
        arithmetic=Arithmetic(numbers="float64", sum_of="corrected", rounding="down"),
        recorded=recorded,
        published=Published(
            name=mixture.name, folder="ssdata" if kind == "dry" else f"ssdata_{suffix}"
        ),
    )


FUSS = PublishedSet(
    name="fuss",
    importer=import_fuss,
    layout=Layout(name="fuss", mixture="{folder}/{name}", source="{folder}/{name}_sources/{file}"),
    write_tables=write_tables,
)
