"""Talkers and noise of WHAM!, mixed by the arithmetic that LibriMix and VCTK-2mix share.

Cosentino et al., "LibriMix: An open-source dataset for generalizable speech separation", 2020,
arXiv 2005.11262.

A list has the path and the linear gain of every talker and of the noise. The first channel of the
noise is read for as long as the longest talker lasts. Everything is multiplied by its gain, then
resampled, then cut to the shortest or padded to the longest, and added up in 32-bit floats. Nothing
keeps the sum from clipping.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from mixgen.corpora.layout import split_called
from mixgen.corpora.tables import read_table
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import Clip, Gain, Level, Mixture, Source
from mixgen.manifest.published import Arithmetic, Extension, Published, Step
from mixgen.published.importing import (
    Corpus,
    ListedMixture,
    SetImport,
    SourceFile,
    number,
    resampled_frames,
)
from mixgen.published.variants import Variant

RATE = 16000
TYPES = ("mix_clean", "mix_both", "mix_single")

Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="mix_clean, mix_both or mix_single; repeatable (default: all)."),
]


def wham_noise_in(root: Path) -> Corpus:
    """Return the noise of WHAM! in a folder."""
    return Corpus("wham_noise", root, "--wham-noise", "wham", RATE)


@dataclass(frozen=True, kw_only=True)
class TalkersAndNoise:
    """A set that is mixed in this way, and what it has of its own.

    Attributes:
        talkers: their corpus.
        noise: the noise of WHAM!; None if no variant needs it.
        variants: of a mixture.
        tree: folder of the files, in which {} is the number of talkers.
        split: of all mixtures; None if their subsets name it.
        crossfade: how many samples overlap where a noise that is shorter than the longest talker is
            repeated; None if it ends there.
    """

    talkers: Corpus
    noise: Corpus | None
    variants: Sequence[Variant]
    tree: str
    split: str | None = None
    crossfade: int | None = None

    def plan(self, header: Import, name: str) -> SetImport[ListedMixture]:
        """Return the import of a set; `name` is that of its manifest."""
        if len(self.variants) == 1:
            name = f"{name}_{self.variants[0].suffix}"
        enhances = all(variant.type == "mix_single" for variant in self.variants)
        return SetImport(
            header=header,
            name=name,
            task="speech_enhancement" if enhances else "speech_separation",
            sample_format="wav16",
            corpora=[self.talkers] if self.noise is None else [self.talkers, self.noise],
            variants=[dataclasses.astuple(variant) for variant in self.variants],
            records=self._records,
            problem=self._problem,
        )

    def listed(self, path: Path, subset: str) -> Iterator[ListedMixture]:
        """Yield the mixtures of a list; their last file is the noise, where the set needs it.

        Raises:
            InputError: the list lacks a column, or a gain is no number.
        """
        needed = ("mixture_ID", "source_1_path", "source_1_gain", "noise_path", "noise_gain")
        for index, row in enumerate(read_table(path, needed), start=2):
            where = f"{path} line {index}"
            prefixes = [f"source_{i}" for i in range(1, len(row)) if f"source_{i}_path" in row]
            files = [(self.talkers.name, row[f"{prefix}_path"]) for prefix in prefixes]
            if self.noise is not None:
                prefixes.append("noise")
                files.append((self.noise.name, row["noise_path"]))
            yield ListedMixture(
                where=where,
                name=row["mixture_ID"],
                subset=subset,
                files=tuple(files),
                gains=tuple(number(row.get(f"{prefix}_gain") or "", where) for prefix in prefixes),
            )

    def _talkers_of(self, files: Sequence[SourceFile]) -> Sequence[SourceFile]:
        return files if self.noise is None else files[:-1]

    def _problem(self, _: ListedMixture, files: Sequence[SourceFile]) -> str | None:
        """Return why the noise cannot be repeated; None if it can, or need not be."""
        noise, longest = files[-1], max(file.frames for file in self._talkers_of(files))
        if self.noise is None or self.crossfade is None or noise.frames >= longest:
            return None
        if noise.frames > self.crossfade:
            return None
        return (
            f"{noise.path} has {noise.frames} samples, and LibriMix needs more than "
            f"{self.crossfade} to repeat it: restore the original file"
        )

    def _records(self, mixture: ListedMixture, files: Sequence[SourceFile]) -> list[Mixture]:
        """Return a record for each variant."""
        lengths = [file.frames for file in self._talkers_of(files)]
        longest = max(lengths)
        if self.noise is not None and self.crossfade is None:
            lengths.append(min(files[-1].frames, longest))
        frames = {"min": min(lengths), "max": longest}
        return [
            self._record(mixture, self._sources(mixture, files, variant), variant, frames)
            for variant in self.variants
        ]

    def _sources(
        self, mixture: ListedMixture, files: Sequence[SourceFile], variant: Variant
    ) -> list[Source]:
        talkers = self._talkers_of(files)
        sources = [
            _talker(index, file, gain, variant.rate)
            for index, (file, gain) in enumerate(zip(talkers, mixture.gains, strict=False), start=1)
        ]
        if variant.type == "mix_single":
            sources = sources[:1]
        if variant.type != "mix_clean":
            longest = max(file.frames for file in talkers)
            sources.append(self._noise(files[-1], mixture.gains[-1], variant.rate, longest))
        return sources

    def _noise(self, file: SourceFile, gain: float, rate: int, longest: int) -> Source:
        """Return the noise, read for as long as the longest talker."""
        steps = [Step(channel=0)]
        if self.crossfade is not None and file.frames < longest:
            steps.append(Step(extend=Extension(frames=longest, crossfade=self.crossfade)))
        steps += [Step(multiply=gain), Step(resample_poly=rate)]
        return Source(
            name="noise",
            role="noise",
            label="noise",
            kind="noise",
            events=[file.event(steps, frames=min(file.frames, longest))],
            gain=Gain(rule="lufs"),
        )

    def _record(
        self,
        mixture: ListedMixture,
        sources: list[Source],
        variant: Variant,
        frames: Mapping[str, int],
    ) -> Mixture:
        """Return the record of a variant; `frames` has the length of each mode at 16 kHz."""
        talkers = len(mixture.files) - (self.noise is not None)
        tree = f"{self.tree.format(talkers)}{'_fixed' if variant.fixed else ''}"
        folder = f"{tree}/wav{variant.rate // 1000}k/{variant.mode}/{mixture.subset}"
        return Mixture(
            id=f"{mixture.name}__{variant.suffix}",
            split=self.split or split_called(mixture.subset),
            sample_rate=variant.rate,
            channels=1,
            frames=resampled_frames(frames[variant.mode], RATE, variant.rate),
            seed=0,
            sources=sources,
            level=Level(reference_db=0.0),
            clip=Clip(rule="none"),
            targets=[source.name for source in sources if source.role == "target"],
            arithmetic=Arithmetic(
                numbers="float32",
                sum_of="files" if variant.fixed else "signals",
                rounding="down",
            ),
            published=Published(name=mixture.name, folder=folder, type=variant.type),
        )


def _talker(index: int, file: SourceFile, gain: float, rate: int) -> Source:
    """Return a talker, whose id the name of the file begins with."""
    return Source(
        name=f"s{index}",
        role="target",
        label=re.split("[-_]", Path(file.path).name)[0],
        kind="speech",
        events=[file.event([Step(multiply=gain), Step(resample_poly=rate)])],
        gain=Gain(rule="lufs"),
    )
