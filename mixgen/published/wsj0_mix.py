"""wsj0-mix: two to five talkers of WSJ0, by their active speech levels.

Hershey et al., "Deep clustering: Discriminative embeddings for segmentation and separation",
ICASSP 2016 (2 and 3 talkers); Nachmani et al., "Voice separation with an unknown number of multiple
speakers", ICML 2020 (4 and 5). The samples are those of the Python script that the lists come with,
which follows the original in MATLAB.

A list has a line for each mixture, with the path and the level in dB of every talker. A talker is
resampled, divided by the root of its active speech level (ITU-T P.56, in the activlev files) and
brought to its level; then all files are divided by max(1, highest peak) / 0.9.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from mixgen.core.errors import InputError
from mixgen.core.files import read_lines
from mixgen.corpora.layout import SPLITS
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import Clip, Gain, Level, Mixture, Source
from mixgen.manifest.published import Arithmetic, Published, Step
from mixgen.published.importing import (
    Imported,
    ListedMixture,
    SetImport,
    SourceFile,
    list_hashes,
    number,
    resampled_frames,
    suffix_of,
)
from mixgen.published.options import (
    MODES,
    RATES,
    AllowMissing,
    Fixed,
    Lists,
    Manifest,
    Modes,
    Rates,
    SourceLists,
    chosen,
)
from mixgen.published.published_set import PublishedSet
from mixgen.published.wsj0 import Wsj0, subset_of, wsj0_corpus, wsj0_file
from mixgen.sets.layout import Layout

_SCRIPT = "mpariente/pywsj0-mix@6ca4c92"
_TALKERS = range(2, 6)


def import_wsj0mix(
    metadata: Lists,
    activlev: Annotated[
        Path, typer.Option("--activlev", help="Folder of the activlev_*.txt beside the lists.")
    ],
    wsj0: Wsj0,
    out: Manifest,
    sample_rate: Rates = None,
    mode: Modes = None,
    fixed: Fixed = False,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import wsj0-mix of 2 to 5 talkers.

    Example: mixgen import wsj0mix --metadata mix_2_spk_tt.txt --activlev activlev --wsj0 corpora
    --sample-rate 8000 --mode min --out M.jsonl
    """
    rates = chosen(sample_rate, RATES, "--sample-rate")
    modes = chosen(mode, MODES, "--mode")
    levels = _active_levels(activlev)
    mixtures = [mixture for path in metadata for mixture in _listed(path)]
    for mixture in mixtures:
        _check_levels(mixture, levels, activlev)
    variants = list(itertools.product(rates, modes))

    def records(mixture: ListedMixture, files: Sequence[SourceFile]) -> list[Mixture]:
        powers = [levels[_utterance(file.path)] for file in files]
        return [_record(mixture, files, powers, *variant, fixed=fixed) for variant in variants]

    talkers = sorted({len(mixture.files) for mixture in mixtures})
    name = f"wsj0_{'_'.join(map(str, talkers))}mix"
    if len(variants) == 1:
        name = f"{name}_{suffix_of(*variants[0])}"
    plan = SetImport(
        header=Import(published="wsj0mix", lists=list_hashes(metadata), script=_SCRIPT),
        name=name,
        task="speech_separation",
        sample_format="wav16",
        corpora=[wsj0_corpus(wsj0)],
        variants=[(*variant, fixed) for variant in variants],
        records=records,
    )
    return plan.write(mixtures, out, sources=sources or (), allow_missing=allow_missing)


def _listed(path: Path) -> Iterator[ListedMixture]:
    """Yield the mixtures of a list, whose lines are `path level path level ...`."""
    subset = subset_of(path)
    for index, line in enumerate(read_lines(path), start=1):
        where, cells = f"{path} line {index}", line.split()
        if len(cells) % 2 or len(cells) // 2 not in _TALKERS:
            raise InputError(
                f"{where} does not hold a path and a level for each of {_TALKERS[0]} to "
                f"{_TALKERS[-1]} talkers: restore the original list."
            )
        paths, levels = cells[::2], [number(cell, where) for cell in cells[1::2]]
        # MATLAB's num2str and Python's format agree on these: up to 8 digits, no spaces.
        parts = zip(map(_utterance, paths), (f"{level:.8g}" for level in levels), strict=True)
        yield ListedMixture(
            where=where,
            name="_".join(word for pair in parts for word in pair),
            subset=subset,
            files=tuple(map(wsj0_file, paths)),
            gains=tuple(levels),
        )


def _utterance(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".wav")


def _active_levels(folder: Path) -> dict[str, float]:
    """Return the active speech level of each utterance, as a power."""
    levels = {}
    for path in sorted(folder.glob("*.txt")):
        for index, line in enumerate(read_lines(path), start=1):
            where = f"{path} line {index}"
            utterance, _, level = line.strip().partition(" ")
            levels[utterance] = number(level, where)
            if levels[utterance] <= 0:
                raise InputError(f"{where}: a level is a power above 0, not {level!r}.")
    if not levels:
        raise InputError(
            f"{folder} has no activlev_*.txt: give the folder metadata/activlev of {_SCRIPT}."
        )
    return levels


def _check_levels(mixture: ListedMixture, levels: dict[str, float], folder: Path) -> None:
    unknown = [path for _, path in mixture.files if _utterance(path) not in levels]
    if unknown:
        raise InputError(
            f"{mixture.where}: the files in {folder} have no level of {_utterance(unknown[0])}: "
            "give --activlev with all of them."
        )


def _record(
    mixture: ListedMixture,
    files: Sequence[SourceFile],
    powers: Sequence[float],
    rate: int,
    mode: str,
    *,
    fixed: bool,
) -> Mixture:
    suffix, tree = suffix_of(rate, mode), f"{len(files)}speakers"
    if fixed:
        suffix, tree = f"{suffix}_fixed", f"{tree}_fixed"
    lengths = [resampled_frames(file.frames, file.sample_rate, rate) for file in files]
    talkers = [
        Source(
            name=f"s{index}",
            role="target",
            label=Path(file.path).parent.name,
            kind="speech",
            events=[file.event(_steps(rate, power, level))],
            gain=Gain(rule="p56"),
        )
        for index, (file, power, level) in enumerate(
            zip(files, powers, mixture.gains, strict=True), start=1
        )
    ]
    return Mixture(
        id=f"{mixture.name}__{suffix}",
        split=SPLITS.get(mixture.subset, mixture.subset),
        sample_rate=rate,
        channels=1,
        frames=min(lengths) if mode == "min" else max(lengths),
        seed=0,
        sources=talkers,
        level=Level(reference_db=0.0),
        clip=Clip(rule="headroom"),
        targets=[talker.name for talker in talkers],
        arithmetic=Arithmetic(numbers="float32", sum_of="files" if fixed else "signals"),
        published=Published(
            name=mixture.name, folder=f"{tree}/wav{rate // 1000}k/{mode}/{mixture.subset}"
        ),
    )


def _steps(rate: int, power: float, level_db: float) -> list[Step]:
    return [
        Step(resample_poly=rate),
        Step(convert="float64"),
        Step(divide=math.sqrt(power)),
        Step(multiply=10 ** (level_db / 20)),
    ]


WSJ0MIX = PublishedSet(
    name="wsj0mix",
    importer=import_wsj0mix,
    layout=Layout(name="wsj0mix", mixture="{folder}/mix/{name}", source="{folder}/{file}/{name}"),
)
