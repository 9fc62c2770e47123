"""Render mixtures of published sets as the scripts of these sets compute them, to the last bit.

The steps of an event are done in their order with the arithmetic of numpy, in the number format
that a step leaves: float32 times a number stays float32, and float32 beside float64 becomes
float64. A set has several variants of a mixture (rates, lengths, types), which share most of their
steps; a renderer keeps the results of all steps until it comes to another mixture.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from mixgen.audio.cache import DecodedCache
from mixgen.audio.encoded import EncodedFile
from mixgen.audio.formats import SampleFormat, file_steps, rounded_samples
from mixgen.audio.polyphase import resampled
from mixgen.audio.read import peak, read_audio
from mixgen.core.errors import InputError
from mixgen.corpora.roots import Roots, drawn_file
from mixgen.manifest.finished import Finished
from mixgen.manifest.mixture import MIXTURE, Clip, Event, Mixture, Source, file_name
from mixgen.manifest.published import Arithmetic, Convolution, Rescaling, Spatialisation, Step
from mixgen.render.excerpt import read_event
from mixgen.render.rendering import Rendering, clip_gain_in_db
from mixgen.render.stem_sums import corrected, sum_of_files
from mixgen.render.steps import Signal, convolved, done, spatialised, white_noise

_Kept = TypeVar("_Kept")

_LEAST_POWER = 1e-10  # of ratios, as in the scripts of LibriMix


@dataclass(frozen=True)
class ExactRendering:
    """One rendered mixture of a published set.

    Attributes:
        files: by name.
        signals: the mixture and its sources by name, before they are scaled and rounded.
        sample_format: of the files.
        clip_gain: the factor that the clip rule put on every file.
    """

    files: dict[str, EncodedFile]
    signals: dict[str, Signal]
    sample_format: SampleFormat
    clip_gain: float

    @property
    def clip_gain_db(self) -> float:
        """The gain of the clip rule in dB, 0 or below."""
        return clip_gain_in_db(self.clip_gain)

    def on_grid(self) -> Rendering:
        """Return the files in whole steps; those of 32-bit floats are rounded to 24 bits."""
        steps = {name: file_steps(f.samples, self.sample_format) for name, f in self.files.items()}
        return Rendering(steps, self.sample_format, self.clip_gain)


class ExactRenderer:
    """Renders mixtures one after the other; variants of one that follow each other share work."""

    def __init__(
        self, roots: Roots, sample_format: SampleFormat, cache: DecodedCache | None = None
    ) -> None:
        self._roots = roots
        self._format = sample_format
        self._cache = cache
        self._name = ""
        self._kept: dict[tuple[object, ...], Any] = {}

    def render(self, mixture: Mixture) -> ExactRendering:
        """Render a mixture of a published set, or read one whose files exist already.

        Raises:
            InputError: a source file is missing, unreadable or not the one of the record; or it has
                other channels than the mixture, or its steps cannot be done.
        """
        if mixture.finished is not None:
            return _read_finished(mixture, mixture.finished, self._roots, self._format)
        if mixture.common_name != self._name:
            self._name, self._kept = mixture.common_name, {}
        arithmetic = arithmetic_of(mixture)
        stems = arithmetic.order or [source.name for source in mixture.sources]
        sources = {name: events for s in mixture.sources for name, events in _events(s).items()}
        mono = {file.name for file in mixture.source_files if file.is_mono}
        signals = {
            name: self._placed(mixture, events, 1 if name in mono else mixture.channels)
            for name, events in sources.items()
        }
        for source in mixture.sources:
            if source.generated is not None:
                others = [signals[name] for name in stems if name != source.name]
                signals[source.name] = white_noise(source.generated, _sum(others, mixture))
        if mixture.recorded is None:
            total = _sum([signals[name] for name in stems], mixture)
        else:
            total = self._placed(mixture, [mixture.recorded], mixture.channels)
        divisor = _divisor(mixture.clip, [total, *signals.values()])
        files = {
            name: self._file(mixture, sources[name], signals[name], divisor) for name in sources
        }
        if arithmetic.sum_of == "files" and mixture.recorded is None:
            whole = sum_of_files([files[name] for name in stems], mixture, self._format)
        else:
            whole = _as_file(total, divisor, mixture, self._format)
        if arithmetic.sum_of == "corrected":
            whole = corrected(whole, [files[name] for name in stems], mixture, self._format)
        signals[MIXTURE] = total
        return ExactRendering({MIXTURE: whole, **files}, signals, self._format, 1.0 / divisor)

    def energy_ratios_db(self, mixture: Mixture, rendering: ExactRendering) -> dict[str, float]:
        """Return the energy of each source against the rest of the mixture, in dB, by its name.

        That is 10 log10(p / (q + 1e-10) + 1e-10) with the mean powers p of the source and q of the
        rest, computed in the number format of the signals.

        Args:
            mixture: the one that was rendered last.
            rendering: of the mixture.
        """
        ratios = {}
        for source in mixture.sources:
            own = rendering.signals[source.name]
            key = ("power", *_key(mixture, source.events))
            power = self._keep(key, functools.partial(_mean_power, own))
            rest = rendering.signals[MIXTURE] - own
            others = np.mean(np.square(rest, out=rest))
            ratio_db = 10 * np.log10(power / (others + _LEAST_POWER) + _LEAST_POWER)
            ratios[source.name] = float(ratio_db)
        return ratios

    def _keep(self, key: tuple[object, ...], make: Callable[[], _Kept]) -> _Kept:
        """Return what was made under a key, or make it now."""
        if key not in self._kept:
            self._kept[key] = make()
        found: _Kept = self._kept[key]
        return found

    def _placed(self, mixture: Mixture, events: Sequence[Event], channels: int) -> Signal:
        """Return the sum of events, each where it begins in the mixture: (channels, frames)."""

        def place() -> Signal:
            """Add up the events, or cut the only one if it covers the mixture."""
            placed = [self._finished(mixture, event, channels) for event in events]
            starts = [_start(event, mixture.sample_rate) for event in events]
            if starts == [0] and placed[0].shape[1] >= mixture.frames:
                return placed[0][:, : mixture.frames]
            shape = channels, mixture.frames
            numbers = np.result_type(arithmetic_of(mixture).numbers, *placed)
            submixes = {event.submix: np.zeros(shape, numbers) for event in events}
            for event, samples, start in zip(events, placed, starts, strict=True):
                fitting = samples[:, : max(0, mixture.frames - start)]
                submixes[event.submix][:, start : start + fitting.shape[1]] += fitting
            first, *others = submixes.values() or [np.zeros(shape, numbers)]
            for submix in others:
                first += submix
            return first

        return self._keep(("placed", *_key(mixture, events)), place)

    def _file(
        self, mixture: Mixture, events: Sequence[Event], signal: Signal, divisor: float
    ) -> EncodedFile:
        if not events:  # nothing says what it was generated from
            return _as_file(signal, divisor, mixture, self._format)
        key = ("file", divisor, arithmetic_of(mixture).rounding, *_key(mixture, events))
        return self._keep(key, lambda: _as_file(signal, divisor, mixture, self._format))

    def _finished(self, mixture: Mixture, event: Event, channels: int) -> Signal:
        """Return an event after all of its steps: (channels, time)."""
        samples, rate = self._after(mixture, event, len(event.steps))
        if (len(samples), rate) != (channels, mixture.sample_rate):
            raise InputError(
                f"{event.path} has {len(samples)} channel(s) at {rate} Hz after its steps, and "
                f"mixture {mixture.id} has {channels} at {mixture.sample_rate} Hz: restore "
                "the file of the set."
            )
        return samples

    def _after(self, mixture: Mixture, event: Event, count: int) -> tuple[Signal, int]:
        """Return an event after so many of its steps, and its sample rate then, in Hz."""

        def make() -> tuple[Signal, int]:
            """Read the event, or do the last of the steps."""
            if count == 0:
                numbers = arithmetic_of(mixture).numbers
                return read_event(event, self._roots, self._cache, numbers=numbers)
            step = event.steps[count - 1]
            samples, rate = self._after(mixture, event, count - 1)
            if step.match is not None:
                to = step.match.to or event.steps[: count - 1]
                return samples * self._gain_between(mixture, event, step.match.of, to), rate
            if step.resample_poly is not None:
                return resampled(samples, rate, step.resample_poly), step.resample_poly
            if step.convolve is not None:
                (response, *_) = self._responses(step.convolve, rate)
                return convolved(samples, response, step.convolve), rate
            if step.spatialise is not None:
                responses = self._responses(step.spatialise, rate)
                return spatialised(samples, responses, step.spatialise), rate
            if step.rescale is not None:
                of = step.rescale.of or event.steps[: count - 1]
                return samples * self._scale(mixture, event, step.rescale, of), rate
            return done(step, samples, rate, event), rate

        return self._keep(_event_key(mixture, event, count), make)

    def _responses(self, file: Convolution | Spatialisation, rate: int) -> Signal:
        """Return the responses in a file, at a rate in Hz: (channels, taps)."""

        def read() -> tuple[Signal, int]:
            return read_audio(drawn_file(self._roots, file))

        responses, response_rate = self._keep(("responses", file.corpus, file.path), read)
        if response_rate != rate:
            raise InputError(
                f"{file.path} is at {response_rate} Hz, and is to be convolved with samples "
                f"at {rate} Hz: restore the response of the set."
            )
        return responses

    def _scale(
        self, mixture: Mixture, event: Event, rescaling: Rescaling, of: Sequence[Step]
    ) -> Any:
        """Return the gain of a rescaling from the samples of an event after the steps `of`."""
        samples, _ = self._after_branch(mixture, event, of)
        deviation = np.maximum(np.std(samples), np.finfo(samples.dtype).tiny)
        return rescaling.deviation / deviation / rescaling.divisor

    def _gain_between(
        self, mixture: Mixture, event: Event, of: Sequence[Step], to: Sequence[Step]
    ) -> float:
        """Return the gain to the energy of an event after the steps `of`, from that after `to`."""
        energies = []
        for steps in (of, to):
            samples, _ = self._after_branch(mixture, event, steps)
            energies.append(np.sum(samples**2))
        if energies[1] == 0:
            raise InputError(f"{event.path} is silent, so no gain gives it a level.")
        return float(np.sqrt(energies[0] / energies[1]))

    def _after_branch(
        self, mixture: Mixture, event: Event, steps: Sequence[Step]
    ) -> tuple[Signal, int]:
        """Return the file of an event after other steps than its own, and the rate then, in Hz."""
        branch = event.model_copy(update={"steps": list(steps)})
        return self._after(mixture, branch, len(steps))


def _events(source: Source) -> Mapping[str, Sequence[Event]]:
    """Return the events of each file of a source by its name."""
    references = source.references_of_events.items()
    own = {file_name(source.name, part): events for part, events in references if events}
    return {source.name: source.events} | own


def _start(event: Event, rate: int) -> int:
    """Return the sample of the mixture at which an event begins, unless its steps place it."""
    return 0 if any(s.place for s in event.steps) else round(event.event_time * rate)


def _read_finished(
    mixture: Mixture, finished: Finished, roots: Roots, sample_format: SampleFormat
) -> ExactRendering:
    """Read a mixture whose files exist already.

    Raises:
        InputError: a file is missing, unreadable or not the one of the record.
    """
    signals: dict[str, Signal] = {}
    for name, file in finished.files.items():
        signals[name], rate = read_audio(drawn_file(roots, file))
        size = rate, *signals[name].shape
        if size != (mixture.sample_rate, mixture.channels, file.frames or mixture.frames):
            raise InputError(
                f"{file.path} does not have the rate, channels and length of mixture {mixture.id}: "
                "import the folder again."
            )
    files = {
        name: EncodedFile(rounded_samples(signal, sample_format, down=False), rate, sample_format)
        for name, signal in signals.items()
    }
    if finished.sums:  # also in a format with fewer bits
        stems = [files[file.name] for file in mixture.source_files if file.is_in_sum]
        files |= {MIXTURE: sum_of_files(stems, mixture, sample_format)}
    return ExactRendering(files, signals, sample_format, clip_gain=1.0)


def arithmetic_of(mixture: Mixture) -> Arithmetic:
    """Return the arithmetic of a mixture of a published set.

    Raises:
        InputError: the mixture is of none.
    """
    if mixture.arithmetic is None:
        raise InputError(f"Mixture {mixture.id} has no `arithmetic`, as published sets have.")
    return mixture.arithmetic


def _key(mixture: Mixture, events: Sequence[Event]) -> tuple[object, ...]:
    """Return what decides on the sum of events in a mixture."""
    parts = [(e.event_time, e.submix, *_event_key(mixture, e, len(e.steps))) for e in events]
    return mixture.sample_rate, mixture.channels, mixture.frames, *parts


def _event_key(mixture: Mixture, event: Event, count: int) -> tuple[object, ...]:
    """Return what decides on an event after so many of its steps."""
    excerpt = event.corpus, event.path, event.source_time, event.event_duration
    steps = [step.spelling for step in event.steps[:count]]
    return *excerpt, arithmetic_of(mixture).numbers, *steps


def _mean_power(signal: Signal) -> Any:
    """Return the mean of the squares, as a number of the signal's format."""
    return np.mean(np.square(signal))


def _sum(signals: Sequence[Signal], mixture: Mixture) -> Signal:
    """Add up signals (channels, frames) in their order, in the number format of the first."""
    if not signals:
        return np.zeros((mixture.channels, mixture.frames), arithmetic_of(mixture).numbers)
    total = signals[0].copy()
    for signal in signals[1:]:
        total += signal
    return total


def _divisor(clip: Clip, signals: Sequence[Signal]) -> float:
    """Return what the clip rule divides all signals by."""
    if clip.rule == "none":
        return 1.0
    return max(1.0, *map(peak, signals)) / clip.peak


def _as_file(
    signal: Signal, divisor: float, mixture: Mixture, sample_format: SampleFormat
) -> EncodedFile:
    """Return the file of a signal (channels, frames) that the clip rule divides by a number."""
    scaled = signal if divisor == 1.0 else signal / divisor
    down = arithmetic_of(mixture).rounding == "down"
    samples = rounded_samples(scaled, sample_format, down=down)
    return EncodedFile(samples, mixture.sample_rate, sample_format)
