"""Compare what is recorded of the files of a mixture with what is in them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from mixgen.audio.formats import SampleFormat, file_steps, samples_sha256
from mixgen.audio.read import peak
from mixgen.core.errors import SuiteError
from mixgen.corpora.roots import Roots
from mixgen.manifest.mixture import Mixture
from mixgen.render.measure import Values, measure, reasons_for_null
from mixgen.render.rendering import Rendering, clip_gain_in_db
from mixgen.render.stem_sums import cut_to_full_scale, is_close_to_sum
from mixgen.sets.rendered import FileRow
from mixgen.verify.problem import Problem

_AS_RECORDED = 1.5e-3  # values are rounded to 1e-3; another machine may round to the next one
_NO_PEAK = 1.5e-6


@dataclass(frozen=True)
class Contents:
    """The decoded files of a mixture, and what is recorded of them, by the names of the files.

    Attributes:
        mixture: as the manifest has it.
        rows: the record of every file.
        steps: whole grid steps of every file, shape (channels, frames).
        sample_format: of the files.
    """

    mixture: Mixture
    rows: Mapping[str, FileRow]
    steps: dict[str, NDArray[np.int32]]
    sample_format: SampleFormat

    def problems(self, roots: Roots) -> Iterator[Problem]:
        """Yield everything that is not as it is recorded, or that is not the sum it should be.

        Where the corpora of `roots` lack a room response, what is measured is "unchecked".
        """
        arithmetic = self.mixture.arithmetic
        corrected = arithmetic is not None and arithmetic.sum_of == "corrected"
        if corrected or self.mixture.sums_on_disk:
            yield from self._wrong_sum(corrected=corrected)
        yield from self._wrong_peaks()
        gains = {row.clip_gain_db for row in self.rows.values()}
        if len(gains) > 1 or not self._fits(gain := gains.pop()):
            detail = "its clip gain is not that of the mixture"
            yield Problem(self._path(self.mixture.sum_name), "misrecorded", detail)
        else:
            yield from self._wrong_values(gain, roots)

    def _path(self, name: str) -> str:
        return self.rows[name].path

    def _wrong_sum(self, *, corrected: bool) -> Iterator[Problem]:
        """Compare the mixture with the sum of its sources; a corrected one may only be close."""
        total = np.zeros((self.mixture.channels, self.mixture.frames), np.int64)
        for file in self.mixture.source_files:
            if file.is_in_sum:
                total += self.steps[file.name]
        mixture = self.steps[self.mixture.sum_name]
        if corrected:
            if is_close_to_sum(mixture, total, self.sample_format):
                return
            total = cut_to_full_scale(total, self.sample_format).astype(np.int64)
        if not np.array_equal(total, mixture):
            path = self._path(self.mixture.sum_name)
            yield Problem(path, "inconsistent", "it is not the sum of its sources")

    def _wrong_peaks(self) -> Iterator[Problem]:
        for name, row in self.rows.items():
            found = peak(self.steps[name]) * self.sample_format.step
            if abs(row.peak - found) > _NO_PEAK:
                yield Problem(row.path, "misrecorded", f"its peak is {found:g}, not {row.peak:g}")

    def _fits(self, clip_gain_db: float) -> bool:
        """Return whether a clip gain below 0 dB leaves the highest peak where the rule has it."""
        files, clip = self.mixture.source_files, self.mixture.clip
        summed = sum(file.is_in_sum for file in files)
        if clip.rule == "headroom":
            clip_gain_db -= clip_gain_in_db(clip.peak)
        if clip.rule == "none" or clip_gain_db >= 0.0 or not summed:
            return clip_gain_db == 0.0
        names = [self.mixture.sum_name, *(file.name for file in files if file.is_mixed)]
        step = self.sample_format.step
        highest = max(peak(self.steps[name]) for name in names) * step
        return abs(highest - clip.peak) <= (summed + 1) * step

    def _wrong_values(self, clip_gain_db: float, roots: Roots) -> Iterator[Problem]:
        """Compare what was requested and what is measured, in the files and in room responses.

        Levels of published sets and finished files are compared if they were measured. Energy
        ratios of published sets were measured before rounding.
        """
        exact = self.mixture.is_exact
        if exact and not any("level_db" in row.measured for row in self.rows.values()):
            return
        rendering = Rendering(self.steps, self.sample_format, 10.0 ** (clip_gain_db / 20.0))
        try:
            expected = measure(self.mixture, rendering, roots)
        except SuiteError as error:
            yield Problem(self._path(self.mixture.sum_name), "unchecked", str(error))
            return
        for name, row in self.rows.items():
            requested, measured = expected[name]
            recorded = row.measured
            if exact and "energy_ratio_db" in recorded:
                recorded = recorded | {"energy_ratio_db": measured["energy_ratio_db"]}
            yield from _wrong(row, "requested", row.requested, requested)
            yield from _wrong(row, "measured", recorded, measured)
            if row.reasons != reasons_for_null(measured):
                yield Problem(row.path, "misrecorded", "its reasons are not those of its values")


def _wrong(row: FileRow, what: str, recorded: Values, expected: Values) -> Iterator[Problem]:
    """Compare two sets of values of one file."""
    for name in sorted(recorded.keys() | expected.keys()):
        if name not in recorded or name not in expected:
            detail = f"its {what} {name} is {'recorded' if name in recorded else 'missing'}"
            yield Problem(row.path, "misrecorded", detail)
        elif not _equal(recorded[name], expected[name]):
            found, noted = _in_words(expected[name]), _in_words(recorded[name])
            yield Problem(row.path, "misrecorded", f"its {what} {name} is {found}, not {noted}")


def _equal(recorded: float | None, expected: float | None) -> bool:
    if recorded is None or expected is None:
        return recorded is expected
    return math.isclose(recorded, expected, rel_tol=0.0, abs_tol=_AS_RECORDED)


def _in_words(value: float | None) -> str:
    return "null" if value is None else f"{value:g}"


def read_contents(
    folder: Path,
    mixture: Mixture,
    rows: Mapping[str, FileRow],
    sample_format: SampleFormat,
    *,
    any_format: bool,
) -> "Contents | list[Problem]":
    """Decode the files of a mixture; the problems of those that are not what is recorded.

    With `any_format`, a file may have another format than that of the set, whose grid it is on.
    """
    steps, problems = {}, []
    for name, row in rows.items():
        try:
            with soundfile.SoundFile(folder / row.path) as file:
                found = file.format, file.subtype
                rate = file.samplerate
                samples = file.read(dtype=sample_format.dtype, always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError):
            problems.append(Problem(row.path, "altered", "it cannot be decoded"))
            continue
        kind = sample_format.extension.upper(), sample_format.subtype
        size = rate, *samples.shape
        if not (any_format or found == kind) or size != (row.sample_rate, row.frames, row.channels):
            detail = "its format, rate, length or channels are not those recorded"
            problems.append(Problem(row.path, "misrecorded", detail))
        elif samples_sha256(samples) != row.sha256:
            detail = "its samples are not those recorded"
            problems.append(Problem(row.path, "misrecorded", detail))
        steps[name] = file_steps(samples, sample_format)
    return problems or Contents(mixture, rows, steps, sample_format)
