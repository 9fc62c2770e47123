"""Render one mixture in memory: a record in, stems that add up to the mixture out. No randomness.

The stages of a record, top to bottom in this file:

1. `render` asks a `SourceRenderer` for the files of each source, at their levels;
2. it puts one clip gain on all files that the microphones pick up, and rounds every file to the
   grid of the sample format;
3. the mixture is the sum of the rounded images, then degraded if the record has degradations.

Levels, fades, starts and tiling follow stock Scaper 1.6.5 sample for sample.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from statistics import geometric_mean
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mixgen.acoustics.echo_path import Echo
from mixgen.audio.cache import DecodedCache
from mixgen.audio.formats import SampleFormat, from_grid, to_grid
from mixgen.audio.levels import LEVEL_RULES
from mixgen.audio.read import Samples, excerpt_bounds, peak, resample, to_channels
from mixgen.audio.sox import pitch_and_stretch
from mixgen.core.errors import InputError
from mixgen.corpora.roots import Roots, locate_file
from mixgen.manifest.mixture import MIXTURE, UNDEGRADED, Event, Mixture, Part, Source
from mixgen.render.exact import ExactRenderer
from mixgen.render.excerpt import read_event
from mixgen.render.rendering import Rendering
from mixgen.render.room import SourceInRoom

_Number = TypeVar("_Number", np.float64, np.int32)

_LEVEL_DIGITS = 6  # of a measured level in dB


def render(
    mixture: Mixture,
    roots: Roots,
    sample_format: SampleFormat,
    cache: DecodedCache | None = None,
) -> Rendering:
    """Render a mixture from its record, with a cache to the same samples.

    Raises:
        InputError: a source file is missing, unreadable or not the one that was drawn.
    """
    if mixture.is_exact:
        return ExactRenderer(roots, sample_format, cache).render(mixture).on_grid()
    signals: dict[str, Samples] = {}
    for source in mixture.sources:
        signals |= SourceRenderer(mixture, source, roots, cache).signals()
    steps, clip_gain = _on_grid(mixture, signals, sample_format)
    summed = [steps[file.name] for file in mixture.source_files if file.is_in_sum]
    total = _sum(summed) if summed else np.zeros((mixture.channels, mixture.frames), np.int32)
    if not mixture.degradations:
        return Rendering({MIXTURE: total, **steps}, sample_format, clip_gain)
    samples = from_grid(total, sample_format)
    for degradation in mixture.degradations:
        samples = degradation.apply(samples, mixture.sample_rate)
    degraded = to_grid(np.clip(samples, -1.0, 1.0 - sample_format.step), sample_format)
    return Rendering({MIXTURE: degraded, UNDEGRADED: total, **steps}, sample_format, clip_gain)


def _sum(signals: Iterable[NDArray[_Number]]) -> NDArray[_Number]:
    return functools.reduce(np.add, signals)


def _on_grid(
    mixture: Mixture, signals: dict[str, Samples], sample_format: SampleFormat
) -> tuple[dict[str, NDArray[np.int32]], float]:
    """Return the signals in whole steps, under the clip rule, and the gain of the mixed ones."""
    files = mixture.source_files
    summed = [file.name for file in files if file.is_in_sum]
    mixed = [file.name for file in files if file.is_mixed]
    # Rounding moves a stem by half a step at most, and the mixture by as much for each of them.
    limit = mixture.clip.peak - len(summed) * sample_format.step / 2
    steps = {name: to_grid(signal, sample_format) for name, signal in signals.items()}
    clip_gain = 1.0
    if not _are_below([steps[n] for n in mixed], [steps[n] for n in summed], limit, sample_format):
        # The rounded peaks are too near the limit, or beyond it: the exact ones decide.
        highest = max(peak(signals[name]) for name in mixed)
        clip_gain = _limiting_gain(max(highest, peak(_sum(signals[n] for n in summed))), limit)
    for name, signal in signals.items():
        # Files that no microphone picks up keep their levels.
        gain = clip_gain if name in mixed else _limiting_gain(peak(signal), limit)
        if gain < 1.0:
            steps[name] = to_grid(signal, sample_format, gain=gain)
    return steps, clip_gain


def _are_below(
    mixed: Sequence[NDArray[np.int32]],
    summed: Sequence[NDArray[np.int32]],
    limit: float,
    sample_format: SampleFormat,
) -> bool:
    """Return whether all mixed files and their sum were surely below a limit before rounding."""
    if not summed:
        return True
    highest = limit / sample_format.step - (len(summed) + 1) / 2
    # Each is below 2^23 steps: of fewer than 256, the sum cannot overflow.
    return (
        len(summed) < 256
        and all(peak(steps) <= highest for steps in mixed)
        and peak(_sum(summed)) <= highest
    )


def _limiting_gain(highest: float, limit: float) -> float:
    return limit / highest if highest > limit else 1.0


class SourceRenderer:
    """Makes the signals of one source of a mixture, at their levels, before clip rule and rounding.

    Raises:
        InputError: from any method: a source file is missing, unreadable or not the one that was
            drawn.
    """

    def __init__(
        self, mixture: Mixture, source: Source, roots: Roots, cache: DecodedCache | None = None
    ) -> None:
        self._mixture = mixture
        self._source = source
        self._roots = roots
        self._cache = cache
        self._rate = mixture.sample_rate
        # A room response makes the channels of what goes through it.
        self._channels = 1 if source.room else mixture.channels

    def signals(self) -> dict[str, Samples]:
        """Return the signal of every file of the source by its name, each (channels, frames).

        An enrolment has one channel and another length.
        """
        parts = self._echo(self._source.echo) if self._source.echo else self._events()
        if self._source.enrolment is not None:
            level_db = self._mixture.level.reference_db + self._source.enrolment.snr
            parts["enrolment"] = self._alone(self._source.enrolment, level_db, channels=1)
        return {file.name: parts[file.part] for file in self._source.files}

    def _events(self) -> dict[Part, Samples]:
        """Return the image of a source and the parts of it that are references."""
        shape = (self._mixture.channels, self._mixture.frames)
        parts: list[Part] = ["image", *self._source.references]
        signals = {part: np.zeros(shape) for part in parts}
        events = self._source.events
        for together in [events] if self._source.gain.shared else [[event] for event in events]:
            levelled = self._levelled(together)
            for signal, samples in zip(signals.values(), levelled, strict=True):
                _add(signal, samples, self._start(together[0]))
        return signals

    def _levelled(self, events: Sequence[Event]) -> list[Samples]:
        """Return the sum of events at its level with its fades, and references of it.

        Each has shape (channels, time).
        """
        background = self._source.role == "background"
        excerpts = [self._excerpt(event, self._channels, tile=background) for event in events]
        shortest = min(samples.shape[1] for samples in excerpts)
        samples = _sum(excerpt[:, :shortest] for excerpt in excerpts)
        if self._source.room is None:
            samples *= self._gain(events[0], samples)
            self._fade(samples)
            return [samples]
        self._fade(samples)
        room = SourceInRoom(self._mixture, self._source, self._roots)
        parts = room.sound(samples, start=self._start(events[0]))
        gain = self._gain(events[0], parts[0])
        return [part * gain for part in parts]

    def _echo(self, echo: Echo) -> dict[Part, Samples]:
        """Return an echo and the far-end signal that it is of.

        One gain brings the mean of all events to its level, because an echo canceller has to learn
        one path for all of them.
        """
        far_end = self._far_end(echo)
        delay, tail = echo.delay(self._rate), 0
        sound = np.pad(echo.sound_of(far_end, self._rate), ((0, 0), (delay, 0)))
        if self._source.room is not None:
            dry_frames = sound.shape[1]
            (sound,) = SourceInRoom(self._mixture, self._source, self._roots).sound(sound)
            tail = sound.shape[1] - dry_frames
        gains = [
            self._gain(event, part)
            for event in self._source.events
            if (part := sound[:, self._mixture.span_of(event, delay=delay, tail=tail)]).size
        ]
        image = sound[:, : self._mixture.frames] * (geometric_mean(gains) if gains else 0.0)
        return {"image": image, "far_end": to_channels(far_end, self._mixture.channels)}

    def _far_end(self, echo: Echo) -> Samples:
        """Return what the far end sends, with every event at its level: (channels, frames)."""
        signal = np.zeros((self._channels, self._mixture.frames))
        for event in self._source.events:
            samples = self._alone(event, echo.far_end_db, self._channels)
            _add(signal, samples, self._start(event))
        return signal

    def _alone(self, event: Event, level_db: float, channels: int) -> Samples:
        """Return an event at a level, with its fades, in no room: (channels, time)."""
        samples = self._excerpt(event, channels, tile=False)
        samples *= self._factor(samples, level_db)
        self._fade(samples)
        return samples

    def _start(self, event: Event) -> int:
        """Return the sample of the mixture at which an event starts, as Scaper places it."""
        return int(self._rate * event.event_time)

    def _gain(self, event: Event, samples: Samples) -> float:
        """Return the factor that brings (channels, time) samples to the event's level."""
        return self._factor(samples, self._mixture.level.reference_db + event.snr)

    def _factor(self, samples: Samples, level_db: float) -> float:
        """Return the factor that brings samples (channels, time) to a level by the rule."""
        rule = LEVEL_RULES[self._source.gain.rule]
        measured_db = rule(level_channels(self._mixture, samples), self._rate)
        # The last digits depend on the order of additions, which differs between processors.
        measured_db = round(measured_db, _LEVEL_DIGITS)
        return float(10.0 ** ((level_db - measured_db) / 20.0))

    def _fade(self, samples: Samples) -> None:
        """Fade (channels, time) samples in and out with a quarter sine, in place.

        Backgrounds have no fades.
        """
        frames = min(int(self._mixture.fade_s * self._rate), samples.shape[1])
        if frames > 0 and self._source.role != "background":
            window = _quarter_sine(frames)
            samples[:, :frames] *= window
            samples[:, -frames:] *= window[::-1]

    def _excerpt(self, event: Event, channels: int, *, tile: bool) -> Samples:
        """Read an event and convert it to the mixture's rate: (channels, time).

        With `tile`, a file that is too short is repeated.
        """
        samples, rate = read_event(event, self._roots, self._cache, to_end=tile)
        if samples.shape[1] > 0:
            if tile:
                start, stop = excerpt_bounds(event.source_time, event.event_duration, rate)
                samples = _repeat_to(samples, stop - start)
            samples = self._converted(event, samples, rate, channels)
        if samples.shape[1] == 0:
            path = locate_file(self._roots, event.corpus, event.path)
            raise InputError(
                f"{path}: the excerpt of mixture {self._mixture.id} is shorter than a sample."
            )
        return samples

    def _converted(self, event: Event, samples: Samples, rate: int, channels: int) -> Samples:
        """Bring (channels, time) samples to the mixture's rate, shifted and stretched."""
        if event.pitch_shift is None and event.time_stretch is None:
            return resample(to_channels(samples, channels), rate, self._rate)
        return pitch_and_stretch(
            samples,
            rate,
            self._rate,
            channels,
            pitch_shift=event.pitch_shift,
            time_stretch=event.time_stretch,
        )


@functools.lru_cache(maxsize=16)
def _quarter_sine(frames: int) -> NDArray[np.float64]:
    # numpy's sine differs in its last digit between processors.
    return np.array([math.sin(angle) for angle in np.linspace(0, np.pi / 2, frames)])


def level_channels(mixture: Mixture, signal: Samples) -> Samples:
    """Return the channels of a signal of which a level is measured.

    In a room that is the first microphone, because every microphone picks up the source once.
    """
    return signal[:1] if mixture.room else signal


def _add(signal: Samples, samples: Samples, start: int) -> None:
    """Add samples (channels, time) to a signal from `start` on, as far as it goes, in place."""
    fitting = samples[:, : max(0, signal.shape[1] - start)]
    signal[:, start : start + fitting.shape[1]] += fitting


def _repeat_to(samples: Samples, frames: int) -> Samples:
    """Return samples of a background, repeated if they are shorter than `frames`."""
    repeats = max(1, -(-frames // samples.shape[1]))
    return samples if repeats == 1 else np.tile(samples, (1, repeats))[:, :frames]
