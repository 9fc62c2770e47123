"""LibriMix: two or more talkers of LibriSpeech, with noise of WHAM!.

Cosentino et al., "LibriMix: An open-source dataset for generalizable speech separation", 2020,
arXiv 2005.11262. The samples are those of its script create_librimix_from_metadata.py.

A list has the path and the linear gain of every talker and of the noise. The first channel of the
noise is read for as long as the longest talker; if it is shorter, it is repeated with crossfades.
Everything is multiplied by its gain, then resampled, then cut to the shortest or padded to the
longest, and added up in 32-bit floats. Nothing keeps the sum from clipping.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mixgen.core.errors import InputError
from mixgen.core.progress import print_status
from mixgen.corpora.layout import SPLITS
from mixgen.corpora.tables import read_table
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import Clip, Gain, Level, Mixture, Source
from mixgen.manifest.published import Arithmetic, Extension, Published, Step
from mixgen.published.importing import (
    Corpus,
    Imported,
    ListedMixture,
    SetImport,
    SourceFile,
    list_hashes,
    number,
    resampled_frames,
    suffix_of,
)
from mixgen.published.librimix_noise import make_missing_copies
from mixgen.published.librimix_tables import write_tables
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
from mixgen.sets.layout import Layout

_SCRIPT = "JorisCos/LibriMix@b898ca3"
_RATE = 16000
_CROSSFADE = 8001  # half of a Hann window of a second, with its middle
_TYPES = ("mix_clean", "mix_both", "mix_single")


@dataclass(frozen=True)
class _Variant:
    """A rate, a length, a type, and whether the stems on disk are to sum to the mixture."""

    rate: int
    mode: str
    type: str
    fixed: bool

    @property
    def suffix(self) -> str:
        words = suffix_of(self.rate, self.mode, self.type.removeprefix("mix_"))
        return f"{words}_fixed" if self.fixed else words


def import_librimix(
    metadata: Lists,
    librispeech: Annotated[
        Path, typer.Option("--librispeech", help="Folder of LibriSpeech, with test-clean in it.")
    ],
    out: Manifest,
    wham_noise: Annotated[
        Path | None, typer.Option("--wham-noise", help="Folder of WHAM! noise, with tt in it.")
    ] = None,
    sample_rate: Rates = None,
    mode: Modes = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type", help="mix_clean, mix_both or mix_single; repeatable (default: all)."
        ),
    ] = None,
    fixed: Fixed = False,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import Libri2Mix, Libri3Mix, and lists of more talkers.

    Without --wham-noise, the type is mix_clean.

    Example: mixgen import librimix --metadata libri2mix_test-clean.csv --librispeech LibriSpeech
    --wham-noise wham_noise --sample-rate 8000 --mode min --type mix_both --out M.jsonl
    """
    types = chosen(types, _TYPES if wham_noise else _TYPES[:1], "--type")
    rates, modes = chosen(sample_rate, RATES, "--sample-rate"), chosen(mode, MODES, "--mode")
    variants = [
        _Variant(*choices, fixed=fixed) for choices in itertools.product(rates, modes, types)
    ]
    corpora = [Corpus("librispeech", librispeech, "--librispeech", "librispeech", _RATE)]
    if wham_noise is not None:
        corpora.append(Corpus("wham_noise", wham_noise, "--wham-noise", "wham", _RATE))
    noisy = types != ["mix_clean"]
    mixtures = [mixture for path in metadata for mixture in _listed(path, noisy=noisy)]
    if not mixtures:
        raise InputError(f"{metadata[0]} has no mixtures: give the list of a set.")
    if wham_noise is not None and noisy:
        made = make_missing_copies(wham_noise, (mixture.files[-1][1] for mixture in mixtures))
        if made:
            print_status(f"noises: made {made} at other speeds in {wham_noise}.")
    talkers = sorted({len(mixture.files) - noisy for mixture in mixtures})
    name = f"libri{'_'.join(map(str, talkers))}mix"
    plan = SetImport(
        header=Import(published="librimix", lists=list_hashes(metadata), script=_SCRIPT),
        name=f"{name}_{variants[0].suffix}" if len(variants) == 1 else name,
        task="speech_enhancement" if types == ["mix_single"] else "speech_separation",
        sample_format="wav16",
        corpora=corpora,
        variants=[dataclasses.astuple(variant) for variant in variants],
        records=lambda mixture, files: _records(mixture, files, variants, noisy=noisy),
        problem=_problem if noisy else lambda _: None,
    )
    return plan.write(mixtures, out, sources=sources or (), allow_missing=allow_missing)


def _listed(path: Path, *, noisy: bool) -> Iterator[ListedMixture]:
    """Yield the mixtures of a list; their last file is the noise, with `noisy`."""
    subset = _subset(path)
    needed = ("mixture_ID", "source_1_path", "source_1_gain", "noise_path", "noise_gain")
    for index, row in enumerate(read_table(path, needed), start=2):
        where = f"{path} line {index}"
        prefixes = [f"source_{i}" for i in range(1, len(row)) if f"source_{i}_path" in row]
        files = [("librispeech", row[f"{prefix}_path"]) for prefix in prefixes]
        if noisy:
            prefixes.append("noise")
            files.append(("wham_noise", row["noise_path"]))
        yield ListedMixture(
            where=where,
            name=row["mixture_ID"],
            subset=subset,
            files=tuple(files),
            gains=tuple(number(row.get(f"{prefix}_gain") or "", where) for prefix in prefixes),
        )


def _subset(path: Path) -> str:
    """Return the folder that LibriMix makes for a list: test for libri2mix_test-clean.csv."""
    start, _, subset = path.stem.partition("mix_")
    if not (start and subset):
        raise InputError(
            f"The name of {path} does not say which subset it is: call it as the official lists "
            "are, such as libri2mix_test-clean.csv."
        )
    return subset.replace("-clean", "")


def _problem(files: Sequence[SourceFile]) -> str | None:
    """Return why the last file cannot be the noise; None if it can."""
    *talkers, noise = files
    if noise.frames <= _CROSSFADE and noise.frames < max(file.frames for file in talkers):
        return (
            f"{noise.path} has {noise.frames} samples, and LibriMix needs more than {_CROSSFADE} "
            "to repeat it: restore the original file"
        )
    return None


def _records(
    mixture: ListedMixture,
    files: Sequence[SourceFile],
    variants: Sequence[_Variant],
    *,
    noisy: bool,
) -> list[Mixture]:
    """Return a record for each variant; the last file is the noise, with `noisy`."""
    talkers = files[:-1] if noisy else files
    longest = max(file.frames for file in talkers)
    shortest = min(file.frames for file in talkers)
    records = []
    for variant in variants:
        sources = [
            _talker(index, file, gain, variant.rate)
            for index, (file, gain) in enumerate(zip(talkers, mixture.gains, strict=False), start=1)
        ]
        targets = [source.name for source in sources]
        if variant.type == "mix_single":
            sources, targets = sources[:1], targets[:1]
        if variant.type != "mix_clean":
            sources.append(_noise(files[-1], mixture.gains[-1], variant.rate, longest))
        frames = shortest if variant.mode == "min" else longest
        tree = f"Libri{len(talkers)}Mix{'_fixed' if variant.fixed else ''}"
        folder = f"{tree}/wav{variant.rate // 1000}k/{variant.mode}/{mixture.subset}"
        records.append(
            Mixture(
                id=f"{mixture.name}__{variant.suffix}",
                split=_split(mixture.subset),
                sample_rate=variant.rate,
                channels=1,
                frames=resampled_frames(frames, _RATE, variant.rate),
                seed=0,
                sources=sources,
                level=Level(reference_db=0.0),
                clip=Clip(rule="none"),
                targets=targets,
                arithmetic=Arithmetic(
                    numbers="float32",
                    sum_of="files" if variant.fixed else "signals",
                    rounding="down",
                ),
                published=Published(name=mixture.name, folder=folder, type=variant.type),
            )
        )
    return records


def _split(subset: str) -> str:
    """Return the split of a subset: train of train-100."""
    return SPLITS.get(subset.partition("-")[0], subset)


def _talker(index: int, file: SourceFile, gain: float, rate: int) -> Source:
    return Source(
        name=f"s{index}",
        role="target",
        label=Path(file.path).name.partition("-")[0],
        kind="speech",
        events=[file.event([Step(multiply=gain), Step(resample_poly=rate)])],
        gain=Gain(rule="lufs"),
    )


def _noise(file: SourceFile, gain: float, rate: int, longest: int) -> Source:
    """Return the noise, read for as long as the longest talker and repeated where it is shorter."""
    steps = [Step(channel=0)]
    if file.frames < longest:
        steps.append(Step(extend=Extension(frames=longest, crossfade=_CROSSFADE)))
    steps += [Step(multiply=gain), Step(resample_poly=rate)]
    return Source(
        name="noise",
        role="noise",
        label="noise",
        kind="noise",
        events=[file.event(steps, frames=min(file.frames, longest))],
        gain=Gain(rule="lufs"),
    )


LIBRIMIX = PublishedSet(
    name="librimix",
    importer=import_librimix,
    layout=Layout(
        name="librimix",
        mixture="{folder}/{type}/{name}",
        source="{folder}/{file}/{name}",
        needs_ratios=True,
    ),
    write_tables=write_tables,
)
