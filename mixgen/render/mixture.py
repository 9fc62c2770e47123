"""Render one mixture in memory: a record in, stems that add up to the mixture out. No randomness.

Levels, fades, placing and tiling follow stock Scaper 1.6.5 sample for sample; rounding to the
file's grid and the joint clip rule come after it.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import geometric_mean
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mixgen.acoustics.echo_path import Echo
from mixgen.audio.formats import SampleFormat, from_grid, to_grid
from mixgen.audio.levels import LEVEL_RULES
from mixgen.audio.read import Samples, excerpt_bounds, peak, read_excerpt, resample, to_channels
from mixgen.audio.sox import pitch_and_stretch
from mixgen.core.errors import InputError
from mixgen.corpora.roots import Roots, drawn_file
from mixgen.manifest.mixture import UNDEGRADED, Event, Mixture, Source
from mixgen.render.room import through_room

_Number = TypeVar("_Number", np.float64, np.int32)


@dataclass(frozen=True)
class Rendering:
    """One rendered mixture, on the grid of a sample format.

    `steps` holds whole grid steps, shape (channels, frames), by file name. "mixture" is the sum of
    the sources, or that sum degraded, and "undegraded" is the sum then. `clip_gain` is the factor
    that the joint clip rule put on every file.
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
    def total(self) -> Samples:
        """The exact sum of the sources, shape (channels, frames)."""
        return from_grid(self.steps.get(UNDEGRADED, self.steps["mixture"]), self.form)

    @property
    def stems(self) -> dict[str, Samples]:
        """The samples of sources and references by name, each of shape (channels, frames)."""
        return {
            name: from_grid(steps, self.form)
            for name, steps in self.steps.items()
            if name not in ("mixture", UNDEGRADED)
        }


def render(mixture: Mixture, roots: Roots, form: SampleFormat) -> Rendering:
    """Render a mixture from its record.

    Raises:
        InputError: a source file is missing, unreadable or not the one that was drawn.
    """
    signals: dict[str, Samples] = {}
    for source in mixture.sources:
        signals |= source_signals(mixture, source, roots)
    summed = [source.name for source in mixture.sources]
    # Rounding moves a stem by half a step at most, and the mixture by as much for each of them.
    limit = mixture.clip.peak - len(summed) * form.step / 2
    # What the microphones do not hear has a level of its own.
    apart = {name for source in mixture.sources for name in source.apart_names}
    joint = {name: signal for name, signal in signals.items() if name not in apart}
    clip_gain = _joint_clip_gain(joint, summed, limit)
    for name, signal in signals.items():
        gain = clip_gain if name in joint else _limiting_gain(peak(signal), limit)
        signals[name] = signal * gain if gain < 1.0 else signal
    steps = {name: to_grid(signal, form) for name, signal in signals.items()}
    silence = np.zeros((mixture.channels, mixture.frames), np.int32)
    total = _sum(steps[name] for name in summed) if summed else silence
    if not mixture.effects:
        return Rendering({"mixture": total, **steps}, form, clip_gain)
    heard = to_grid(_degrade(mixture, from_grid(total, form), form), form)
    return Rendering({"mixture": heard, UNDEGRADED: total, **steps}, form, clip_gain)


def _degrade(mixture: Mixture, samples: Samples, form: SampleFormat) -> Samples:
    """Return (channels, time) samples after the mixture's effects, clipped at full scale."""
    for effect in mixture.effects:
        samples = effect.apply(samples, mixture.sample_rate)
    return np.clip(samples, -1.0, 1.0 - form.step)


def _sum(signals: Iterable[NDArray[_Number]]) -> NDArray[_Number]:
    return functools.reduce(np.add, signals)


def _joint_clip_gain(signals: dict[str, Samples], summed: Sequence[str], limit: float) -> float:
    """Return the one gain for all files that keeps every peak at or below `limit`."""
    if not summed:
        return 1.0
    total = _sum(signals[name] for name in summed)
    highest = max(peak(signal) for signal in (total, *signals.values()))
    return _limiting_gain(highest, limit)


def _limiting_gain(highest: float, limit: float) -> float:
    return limit / highest if highest > limit else 1.0


def source_signals(mixture: Mixture, source: Source, roots: Roots) -> dict[str, Samples]:
    """Return the files of one source before clip rule and rounding, each (channels, frames).

    The first is the source as it is in the mixture, the others are its references. An enrolment
    comes last, has one channel and its own length.
    """
    if source.echo is not None:
        signals = dict(
            zip(source.file_names, _echo_signals(mixture, source, source.echo, roots), strict=True)
        )
    else:
        signals = _heard_signals(mixture, source, roots)
    if source.enrolment is not None and source.enrolment_name is not None:
        level_db = mixture.level.reference_db + source.enrolment.snr
        signals[source.enrolment_name] = _levelled_alone(
            mixture, source, source.enrolment, roots, channels=1, level_db=level_db
        )
    return signals


def _heard_signals(mixture: Mixture, source: Source, roots: Roots) -> dict[str, Samples]:
    """Return a source as it is in the mixture, and its references: (channels, frames)."""
    signals = {name: np.zeros((mixture.channels, mixture.frames)) for name in source.heard_names}
    levelled = [source.events] if source.gain.together else [[event] for event in source.events]
    for events in levelled:
        parts = _levelled(mixture, source, events, roots)
        for signal, samples in zip(signals.values(), parts, strict=True):
            _add(signal, samples, int(mixture.sample_rate * events[0].event_time))
    return signals


def _add(signal: Samples, samples: Samples, start: int) -> None:
    """Add samples (channels, time) to a signal from `start` on, as far as it goes, in place."""
    heard = samples[:, : max(0, signal.shape[1] - start)]
    signal[:, start : start + heard.shape[1]] += heard


def _echo_signals(
    mixture: Mixture, source: Source, echo: Echo, roots: Roots
) -> tuple[Samples, Samples]:
    """Return an echo and the far-end signal that it is of, each (channels, frames).

    All events go one way, as a canceller must learn it: one gain brings their mean to its level.
    """
    far_end = _far_end(mixture, source, echo, roots)
    delay, tail = echo.delay(mixture.sample_rate), 0
    sound = np.pad(echo.sound_of(far_end, mixture.sample_rate), ((0, 0), (delay, 0)))
    if source.room is not None:
        dry_frames = sound.shape[1]
        (sound,) = through_room(mixture, source, sound, roots)
        tail = sound.shape[1] - dry_frames
    gains = [
        _gain(mixture, source, event, part)
        for event in source.events
        if (part := heard_part(mixture, event, sound, delay=delay, tail=tail)).size
    ]
    heard = sound[:, : mixture.frames] * (geometric_mean(gains) if gains else 0.0)
    return heard, to_channels(far_end, mixture.channels)


def _far_end(mixture: Mixture, source: Source, echo: Echo, roots: Roots) -> Samples:
    """Return what the far end sends, with every event at its level: (channels, frames)."""
    channels = _channels_before_room(mixture, source)
    signal = np.zeros((channels, mixture.frames))
    for event in source.events:
        samples = _levelled_alone(
            mixture, source, event, roots, channels=channels, level_db=echo.far_end_db
        )
        _add(signal, samples, int(mixture.sample_rate * event.event_time))
    return signal


def _levelled_alone(
    mixture: Mixture, source: Source, event: Event, roots: Roots, *, channels: int, level_db: float
) -> Samples:
    """Return an event at a level, with its fades, in no room: (channels, time)."""
    samples = _event_samples(mixture, event, roots, channels=channels, tile=False)
    samples *= _factor(mixture, source, samples, level_db)
    _fade(samples, int(mixture.fade_s * mixture.sample_rate))
    return samples


def heard_part(
    mixture: Mixture, event: Event, signal: Samples, *, delay: int = 0, tail: int = 0
) -> Samples:
    """Return the part of a signal in which an event is heard, `delay` samples late.

    It ends `tail` samples after the event; it is empty where the mixture is over by then.
    """
    start = int(event.event_time * mixture.sample_rate) + delay
    stretched = event.event_duration * (event.time_stretch or 1.0)
    return signal[:, start : start + math.ceil(stretched * mixture.sample_rate) + tail]


def _levelled(
    mixture: Mixture, source: Source, events: Sequence[Event], roots: Roots
) -> list[Samples]:
    """Return the sum of events at its level with its fades, and references: (channels, time)."""
    background, event = source.role == "background", events[0]
    channels = _channels_before_room(mixture, source)
    heard = [_event_samples(mixture, e, roots, channels=channels, tile=background) for e in events]
    shortest = min(samples.shape[1] for samples in heard)
    samples = _sum(samples[:, :shortest] for samples in heard)
    fade = 0 if background else int(mixture.fade_s * mixture.sample_rate)
    if source.room is None:
        samples *= _gain(mixture, source, event, samples)
        _fade(samples, fade)
        return [samples]
    _fade(samples, fade)
    start = int(mixture.sample_rate * event.event_time)
    parts = through_room(mixture, source, samples, roots, start=start)
    gain = _gain(mixture, source, event, parts[0])
    return [part * gain for part in parts]


def _gain(mixture: Mixture, source: Source, event: Event, samples: Samples) -> float:
    """Return the factor that brings (channels, time) samples to the event's level."""
    return _factor(mixture, source, samples, mixture.level.reference_db + event.snr)


def _factor(mixture: Mixture, source: Source, samples: Samples, level_db: float) -> float:
    """Return the factor that brings (channels, time) samples to a level by the source's rule."""
    measured_db = LEVEL_RULES[source.gain.rule](
        levelled_part(mixture, samples), mixture.sample_rate
    )
    return float(10.0 ** ((level_db - measured_db) / 20.0))


def _channels_before_room(mixture: Mixture, source: Source) -> int:
    """Return the channels of a source before the response that it is heard through, if any."""
    return 1 if source.room else mixture.channels


def levelled_part(mixture: Mixture, signal: Samples) -> Samples:
    """Return the channels of a signal that a level is measured of.

    Microphones in a room hear a source once each: the first one tells how loud it is.
    """
    return signal[:1] if mixture.room else signal


def _event_samples(
    mixture: Mixture, event: Event, roots: Roots, *, channels: int, tile: bool
) -> Samples:
    """Read an event and convert it to the mixture's rate: (channels, time)."""
    path = drawn_file(roots, event)
    samples, rate = read_excerpt(path, event.source_time, event.event_duration, to_end=tile)
    if samples.shape[1] > 0:
        if tile:
            start, stop = excerpt_bounds(event.source_time, event.event_duration, rate)
            samples = _repeat_to(samples, stop - start)
        samples = _converted(event, samples, rate, mixture.sample_rate, channels)
    if samples.shape[1] == 0:
        raise InputError(f"{path}: the excerpt of mixture {mixture.id} is shorter than a sample.")
    return samples


def _converted(
    event: Event, samples: Samples, from_rate: int, to_rate: int, channels: int
) -> Samples:
    """Bring (channels, time) samples to a rate and channel count, shifted and stretched."""
    if event.pitch_shift is None and event.time_stretch is None:
        return resample(to_channels(samples, channels), from_rate, to_rate)
    return pitch_and_stretch(
        samples,
        from_rate,
        to_rate,
        channels,
        pitch_shift=event.pitch_shift,
        time_stretch=event.time_stretch,
    )


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
