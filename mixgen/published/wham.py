"""WHAM!: two talkers of WSJ0 in noise that was recorded in cafés, restaurants and bars.

Wichern et al., "WHAM!: Extending speech separation to noisy environments", Interspeech 2019,
arXiv 1907.01160. The samples are those of its script create_wham_from_scratch.py.

The list has the files of the talkers; levels and starts are in the metadata of WHAM! noise. A
talker is resampled, brought to its level in wsj0-2mix, rounded to 16 bits as there, and brought to
its level above the noise. In min, the noise is cut to the samples beside the speech; in max, the
speech begins in the midst of the noise. Everything is 64-bit floats, and the files are 32-bit
floats.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mixgen.core.errors import InputError
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
    list_hashes,
    resampled_frames,
    suffix_of,
)
from mixgen.published.options import (
    AllowMissing,
    Lists,
    Manifest,
    Modes,
    Rates,
    SourceLists,
    chosen,
)
from mixgen.published.published_set import PublishedSet
from mixgen.published.variants import Variant, variants_of
from mixgen.published.wham_scaling import Gains, Scaling, read_scaling
from mixgen.published.wsj0 import WSJ0_RATE, Wsj0, subset_of, wsj0_corpus, wsj0_file
from mixgen.sets.layout import Layout

_SCRIPT = "boeddeker/wham_scripts@80301f3 create_wham_from_scratch.py"
MIXTURES = {
    "mix_clean": ("s1", "s2"),
    "mix_both": ("noise", "s1", "s2"),
    "mix_single": ("noise", "s1"),
}
_TYPES = {**MIXTURES, "s1": ("s1",), "s2": ("s2",), "noise": ("noise",)}
"""Type of a mixture to what is added up, in this order."""

WhamNoise = Annotated[
    Path,
    typer.Option("--wham-noise", help="Folder of WHAM! noise, with tt and metadata in it."),
]


def import_wham(
    metadata: Lists,
    wham_noise: WhamNoise,
    wsj0: Wsj0,
    out: Manifest,
    sample_rate: Rates = None,
    mode: Modes = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="mix_clean, mix_both, mix_single, s1, s2 or noise; repeatable (default: the "
            "three mixtures, whose files are all of the tree).",
        ),
    ] = None,
    sources: SourceLists = None,
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import WHAM!.

    Example: mixgen import wham --metadata mix_2_spk_filenames_tt.csv --wham-noise wham_noise
    --wsj0 corpora --sample-rate 8000 --mode max --type mix_both --out M.jsonl
    """
    types = chosen(types or list(MIXTURES), list(_TYPES), "--type")
    variants = variants_of(sample_rate, mode, types)
    lists = WhamLists.read(metadata, wham_noise, variants)
    plan = SetImport(
        header=Import(published="wham", lists=lists.hashes, script=_SCRIPT),
        name=f"wham_{variants[0].suffix}" if len(variants) == 1 else "wham",
        task="speech_enhancement" if types == ["mix_single"] else "speech_separation",
        sample_format="wav_float",
        corpora=wham_corpora(wsj0, wham_noise),
        variants=[(variant.rate, variant.mode, variant.type) for variant in variants],
        records=lambda mixture, files: _records(mixture, files, lists, variants),
        problem=lists.problem,
    )
    return plan.write(lists.mixtures, out, sources=sources or (), allow_missing=allow_missing)


def wham_corpora(wsj0: Path, wham_noise: Path) -> list[Corpus]:
    """Return the corpora of talkers and noise."""
    return [wsj0_corpus(wsj0), Corpus("wham_noise", wham_noise, "--wham-noise", "wham", WSJ0_RATE)]


@dataclass(frozen=True)
class WhamLists:
    """The mixtures of lists, whose last file is the noise, and their starts and gains."""

    hashes: dict[str, str]
    mixtures: list[ListedMixture]
    scalings: dict[str, Scaling]

    @classmethod
    def read(
        cls, metadata: Sequence[Path], wham_noise: Path, variants: Sequence[Variant]
    ) -> "WhamLists":
        """Read lists of file names, and the scaling of their subsets for variants.

        Raises:
            InputError: a list or a scaling is missing or damaged, or a mixture has no scaling.
        """
        kinds = list(dict.fromkeys((variant.rate, variant.mode) for variant in variants))
        scalings = {
            subset: read_scaling(wham_noise, subset, kinds)
            for subset in dict.fromkeys(map(subset_of, metadata))
        }
        hashes = list_hashes([*metadata, *(scaling.path for scaling in scalings.values())])
        mixtures = [mixture for path in metadata for mixture in _listed(path)]
        for mixture in mixtures:
            scaling = scalings[mixture.subset]
            if mixture.name not in scaling.numbers:
                raise InputError(
                    f"{mixture.where}: {scaling.path} has no levels of {mixture.name}: give the "
                    "list and the wham_noise folder of one version, or take the line out."
                )
        return cls(hashes, mixtures, scalings)

    def start(self, mixture: ListedMixture) -> int:
        """Return the sample of the noise, at 16 kHz, at which the talkers of a mixture begin."""
        return self.scalings[mixture.subset].start(mixture.name)

    def gains(self, mixture: ListedMixture, rate: int, mode: str) -> Gains:
        """Return the gains of a mixture at a rate in Hz and in a mode."""
        return self.scalings[mixture.subset].gains(mixture.name, rate, mode)

    def problem(self, mixture: ListedMixture, files: Sequence[SourceFile]) -> str | None:
        """Return why the last file cannot be the noise; None if it can."""
        *talkers, noise = files
        needed = self.start(mixture) + max(file.frames for file in talkers)
        if noise.frames < needed:
            return (
                f"{noise.path} has {noise.frames} samples, and its talkers end at {needed}: "
                "restore the original file"
            )
        return None


def _listed(path: Path) -> Iterator[ListedMixture]:
    """Yield the mixtures of a list of file names."""
    subset = subset_of(path)
    for index, row in enumerate(read_table(path, ("output_filename", "s1_path", "s2_path")), 2):
        talkers = (wsj0_file(row[f"{name}_path"]) for name in ("s1", "s2"))
        yield ListedMixture(
            where=f"{path} line {index}",
            name=row["output_filename"],
            subset=subset,
            files=(*talkers, ("wham_noise", f"{subset}/{row['output_filename']}")),
        )


def _records(
    mixture: ListedMixture,
    files: Sequence[SourceFile],
    lists: WhamLists,
    variants: Sequence[Variant],
) -> list[Mixture]:
    """Return a record for each variant."""
    start, records = lists.start(mixture), []
    for variant in variants:
        gains = lists.gains(mixture, variant.rate, variant.mode)
        records.append(_record(mixture, files, variant, gains, start=start))
    return records


def _record(
    mixture: ListedMixture,
    files: Sequence[SourceFile],
    variant: Variant,
    gains: Gains,
    *,
    start: int,
) -> Mixture:
    rate, mode = variant.rate, variant.mode
    begins = begin_of(start, rate, mode)
    sources = {
        f"s{index}": wham_source(f"s{index}", file, talker_steps(rate, gain, gains.speech), begins)
        for index, (file, gain) in enumerate(zip(files[:-1], gains.talkers, strict=True), start=1)
    }
    sources["noise"] = wham_source("noise", files[-1], noise_steps(rate, gains.noise, start, mode))
    mixed = _TYPES[variant.type]
    return wham_mixture(
        mixture,
        files,
        rate,
        mode,
        variant.type,
        [source for name, source in sources.items() if name in mixed],
        order=mixed,
    )


def begin_of(start: int, rate: int, mode: str) -> int:
    """Return the sample, at 16 kHz, at which talkers begin in the mixture; a whole one at `rate`.

    Args:
        start: sample of the noise at 16 kHz at which they begin.
        rate: of the mixture in Hz.
        mode: in `min`, the mixture begins with the talkers.
    """
    step = WSJ0_RATE // rate
    return start // step * step if mode == "max" else 0


def talker_steps(rate: int, gain: float, speech_gain: float) -> list[Step]:
    """Return what is done to a talker: first wsj0-2mix in 16 bits, then its level above the noise.

    Args:
        rate: of the mixture in Hz.
        gain: linear, of wsj0-2mix.
        speech_gain: linear, above the noise.
    """
    leveled = [Step(multiply=gain), Step(round_bits=16), Step(multiply=speech_gain)]
    return [Step(channel=0), *resampled_to(rate), *leveled]


def noise_steps(rate: int, gain: float, start: int, mode: str) -> list[Step]:
    """Return what is done to the noise.

    Args:
        rate: of the mixture in Hz.
        gain: linear.
        start: sample of the noise at 16 kHz at which the talkers begin.
        mode: in `min`, the noise before them is dropped.
    """
    before = start // (WSJ0_RATE // rate) if mode == "min" else 0
    skipped = [Step(skip=before)] if before else []
    return [Step(channel=0), *resampled_to(rate), Step(multiply=gain), *skipped]


def resampled_to(rate: int) -> list[Step]:
    """Return the step from 16 kHz to a rate in Hz, if there is one."""
    return [] if rate == WSJ0_RATE else [Step(resample_poly=rate)]


def wham_source(
    name: str,
    file: SourceFile,
    steps: Sequence[Step],
    begins: int = 0,
    level_db: float | None = None,
) -> Source:
    """Return a talker, or the noise of this name.

    Args:
        name: `noise`, or that of a talker.
        file: its source file.
        steps: what is done to it.
        begins: sample of the mixture at 16 kHz at which it begins.
        level_db: change of its level by the steps, where these do not say it.
    """
    is_noise = name == "noise"
    event = file.event(steps, start=begins)
    if level_db is not None:
        event = event.model_copy(update={"snr": level_db})
    return Source(
        name=name,
        role="noise" if is_noise else "target",
        label="noise" if is_noise else Path(file.path).parent.name,
        kind="noise" if is_noise else "speech",
        events=[event],
        gain=Gain(rule="lufs"),
    )


def wham_mixture(
    mixture: ListedMixture,
    files: Sequence[SourceFile],
    rate: int,
    mode: str,
    kind: str,
    sources: Sequence[Source],
    *,
    order: Sequence[str],
) -> Mixture:
    """Return the record of a mixture of a type; the last file is the noise.

    In `max` it is as long as the noise, in `min` as the shorter talker.
    """
    shortest = min(file.frames for file in files[:-1])
    name = mixture.name.removesuffix(".wav")
    return Mixture(
        id=f"{name}__{suffix_of(rate, mode, kind.removeprefix('mix_'))}",
        split=SPLITS.get(mixture.subset, mixture.subset),
        sample_rate=rate,
        channels=1,
        frames=resampled_frames(shortest if mode == "min" else files[-1].frames, WSJ0_RATE, rate),
        seed=0,
        sources=list(sources),
        level=Level(reference_db=0.0),
        clip=Clip(rule="none"),
        targets=[source.name for source in sources if source.role == "target"],
        arithmetic=Arithmetic(numbers="float64", sum_of="signals", order=list(order)),
        published=Published(
            name=name, folder=f"wav{rate // 1000}k/{mode}/{mixture.subset}", type=kind
        ),
    )


WHAM = PublishedSet(
    name="wham",
    importer=import_wham,
    layout=Layout(name="wham", mixture="{folder}/{type}/{name}", source="{folder}/{file}/{name}"),
)
