"""Render one mixture in memory: a record in, stems that add up to the mixture out. No randomness.

Levels, fades, placing and tiling follow stock Scaper 1.6.5 sample for sample; rounding to the
file's grid and the joint clip rule come after it.
"""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mixgen.audio import Samples, excerpt_bounds, peak, read_excerpt, resample, to_channels
from mixgen.effects import pitch_and_stretch
from mixgen.errors import InputError
from mixgen.files import sha256_file
from mixgen.formats import SampleFormat, from_grid, to_grid
from mixgen.levels import LEVEL_RULES
from mixgen.manifest import Event, Mixture, Source
from mixgen.sources import Roots, locate_file

_Number = TypeVar("_Number", np.float64, np.int32)


@dataclass(frozen=True)
class Rendering:
    """One rendered mixture, on the grid of a sample format.

    `steps` holds whole grid steps, shape (channels, frames), by file name; "mixture" is the sum of
    the others. `clip_gain` is the factor that the joint clip rule put on every file.
    """

    steps: dict[str, NDArray[np.int32]]
    form: SampleFormat
    clip_gain: float

    @property
    def clip_gain_db(self) -> float:
        """The joint clip gain in dB, 0 or below."""
        return round(20.0 * math.log10(self.clip_gain), 6) if self.clip_gain < 1.0 else 0.0

    @property
    def mixture(self) -> Samples:
        """The mixture's samples, shape (channels, frames), full scale 1.0."""
        return from_grid(self.steps["mixture"], self.form)

    @property
    def stems(self) -> dict[str, Samples]:
        """The sources' samples by name, each of shape (channels, frames)."""
        return {
            name: from_grid(steps, self.form)
            for name, steps in self.steps.items()
            if name != "mixture"
        }


def render(mixture: Mixture, roots: Roots, form: SampleFormat) -> Rendering:
    """Render a mixture from its record.

    Raises:
        InputError: a source file is missing, unreadable or not the one that was drawn.
    """
    stems = {source.name: source_signal(mixture, source, roots) for source in mixture.sources}
    # Rounding moves a stem by half a step at most, and the mixture by as much for each of them.
    limit = mixture.clip.peak - len(stems) * form.step / 2
    clip_gain = _joint_clip_gain(stems.values(), limit)
    if clip_gain < 1.0:
        stems = {name: stem * clip_gain for name, stem in stems.items()}
    steps = {name: to_grid(stem, form) for name, stem in stems.items()}
    silence = np.zeros((mixture.channels, mixture.frames), np.int32)
    total = _sum(steps.values()) if steps else silence
    return Rendering({"mixture": total, **steps}, form, clip_gain)


def _sum(signals: Iterable[NDArray[_Number]]) -> NDArray[_Number]:
    return functools.reduce(np.add, signals)


def _joint_clip_gain(stems: Iterable[Samples], limit: float) -> float:
    """Return the one gain for all files that keeps every peak at or below `limit`."""
    stems = list(stems)
    if not stems:
        return 1.0
    highest = max(peak(signal) for signal in (_sum(stems), *stems))
    return limit / highest if highest > limit else 1.0


def source_signal(mixture: Mixture, source: Source, roots: Roots) -> Samples:
    """Return one source before clip rule and rounding, shape (channels, frames)."""
    signal = np.zeros((mixture.channels, mixture.frames))
    for event in source.events:
        samples = _levelled(mixture, source, event, roots)
        start = int(mixture.sample_rate * event.event_time)
        samples = samples[:, : max(0, mixture.frames - start)]
        signal[:, start : start + samples.shape[1]] += samples
    return signal


def _levelled(mixture: Mixture, source: Source, event: Event, roots: Roots) -> Samples:
    """Return an event at its level with its fades, shape (channels, time)."""
    background = source.role == "background"
    samples = _event_samples(mixture, event, roots, tile=background)
    measured_db = LEVEL_RULES[source.gain.rule](samples, mixture.sample_rate)
    gain_db = mixture.level.reference_db + event.snr - measured_db
    samples *= float(10.0 ** (gain_db / 20.0))
    if not background:
        _fade(samples, int(mixture.fade_s * mixture.sample_rate))
    return samples


def _event_samples(mixture: Mixture, event: Event, roots: Roots, *, tile: bool) -> Samples:
    """Read an event and convert it to the mixture's rate and channels: (channels, time)."""
    path = _drawn_file(event, roots)
    samples, rate = read_excerpt(path, event.source_time, event.event_duration, to_end=tile)
    if samples.shape[1] == 0:
        raise InputError(f"{path}: the excerpt of mixture {mixture.id} is shorter than a sample.")
    if tile:
        start, stop = excerpt_bounds(event.source_time, event.event_duration, rate)
        samples = _repeat_to(samples, stop - start)
    if event.pitch_shift is None and event.time_stretch is None:
        samples = to_channels(samples, mixture.channels)
        return resample(samples, rate, mixture.sample_rate)
    return pitch_and_stretch(
        samples,
        rate,
        mixture.sample_rate,
        mixture.channels,
        pitch_shift=event.pitch_shift,
        time_stretch=event.time_stretch,
    )


def _drawn_file(event: Event, roots: Roots) -> Path:
    """Return the file of an event.

    Raises:
        InputError: it is missing, or its content is not what was drawn from.
    """
    path = locate_file(roots, event.corpus, event.path)
    status = path.stat()
    if _sha256_of(path, status.st_size, status.st_mtime_ns) != event.sha256:
        raise InputError(
            f"{path} is not the file that the manifest was drawn from (its SHA-256 differs): "
            "restore it, or index and draw again."
        )
    return path


@functools.lru_cache(maxsize=65536)
def _sha256_of(path: Path, _size: int, _mtime_ns: int) -> str:
    return sha256_file(path)


def _repeat_to(samples: Samples, frames: int) -> Samples:
    """Repeat a background that is shorter than `frames`; leave a long one as it is."""
    repeats = max(1, -(-frames // samples.shape[1]))
    return samples if repeats == 1 else np.tile(samples, (1, repeats))[:, :frames]


def _fade(samples: Samples, frames: int) -> None:
    """Fade (channels, time) samples in and out over `frames` with a quarter sine, in place."""
    frames = min(frames, samples.shape[1])
    if frames > 0:
        window = np.sin(np.linspace(0, np.pi / 2, frames))
        samples[:, :frames] *= window
        samples[:, -frames:] *= window[::-1]
