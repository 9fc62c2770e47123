"""The way of a source that walks: places along it, and how its sound is cut into parts for them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mixgen.acoustics.image_source import SPEED_OF_SOUND, Walls, raw_responses, without_lowest_tones
from mixgen.acoustics.rir import Path, along, arrivals, convolve
from mixgen.acoustics.room import Point, RoomPlan
from mixgen.audio.read import Samples
from mixgen.core.records import Record

STEP_M = 0.01
STRIDE = 5  # so many steps lie between two places with a whole response


class Way(Record):
    """A straight way at one speed, from the first sample of a mixture to its last.

    It is taken in equal steps of 1 cm at most, a multiple of 5 of them, from place 0 to `steps`.
    """

    start_m: Point
    end_m: Point
    frames: int

    @property
    def steps(self) -> int:
        """How many steps the way has; 0 where it ends at its start."""
        return STRIDE * math.ceil(math.dist(self.start_m, self.end_m) / (STRIDE * STEP_M))

    def place(self, number: int) -> Point:
        """Return one of the places from 0 to `steps`, in metres."""
        share = number / max(self.steps, 1)
        x, y, z = (a + share * (b - a) for a, b in zip(self.start_m, self.end_m, strict=True))
        return x, y, z

    def cut(self, samples: Samples, start: int) -> Iterator[tuple[int, int, Samples]]:
        """Yield the parts of samples (1, time) that begin with sample `start` of the mixture.

        Each is the number of a place, the first of the samples that count there, and these samples,
        faded from the place before and to the next. All parts together are the samples.
        """
        progress = self._progress(start + np.arange(samples.shape[1]))
        for number in range(self.steps + 1):
            first = int(np.searchsorted(progress, number - 1, side="right"))
            stop = int(np.searchsorted(progress, number + 1, side="left"))
            if first < stop:
                window = 1.0 - np.abs(progress[first:stop] - number)
                yield number, first, samples[:, first:stop] * window

    def _progress(self, times: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the number of the place at each sample of the mixture, with fractions."""
        return self.steps * np.minimum(times / self.frames, 1.0)


_FIRST_ORDERS = 6


_PULSE_REACH = 40  # samples


class Walk:
    """The responses along a way, each simulated when it is first wanted, and kept."""

    def __init__(self, plan: RoomPlan, walls: Walls, sample_rate: int, way: Way) -> None:
        """Take a room, its walls, and a way through it.

        Raises:
            InputError: the way begins or ends outside of the room.
        """
        self._plan, self._walls, self._sample_rate, self._way = plan, walls, sample_rate, way
        self._firsts: dict[int, Samples] = {}
        self._others: dict[int, Samples] = {}
        # The way of a reflection is convex along that of its source: it is longest at an end.
        self._taps = max(self._other(number).shape[1] for number in (0, way.steps))

    def response(self, number: int) -> Samples:
        """Return the response of a place of the way: (microphones, taps), all of one length."""
        before, past = divmod(number, STRIDE)
        response = np.zeros((len(self._plan.microphones_m), self._taps))
        _add(response, self._first(number))
        _add(response, (1 - past / STRIDE) * self._other(before * STRIDE))
        if past:
            _add(response, past / STRIDE * self._other((before + 1) * STRIDE))
        return without_lowest_tones(response, self._sample_rate)

    def sound(
        self, samples: Samples, start: int, paths: Sequence[Path], early_s: float
    ) -> list[Samples]:
        """Return samples (1, time) that begin with sample `start` of the mixture as they are heard.

        There is one signal for each path, of shape (microphones, time + taps - 1).
        """
        shape = len(self._plan.microphones_m), samples.shape[1] + self._taps - 1
        signals = [np.zeros(shape) for _ in paths]
        for number, first, part in self._way.cut(samples, start):
            response = self.response(number)
            for signal, path in zip(signals, paths, strict=True):
                if path == "dry":
                    through = self._direct(number)
                else:
                    through = along(path, response, self._sample_rate, early_s)
                _add(signal[:, first:], convolve(part, through))
        return signals

    def _direct(self, number: int) -> Samples:
        """Return the direct sound from a place: (microphones, taps).

        It is the dry part of the response at the start, as much later and weaker as it is further
        away. The dry parts of other places would jump from sample to sample, and their level with
        the fraction of a sample that is left.
        """
        start_m, here_m = self._distances_m(0), self._distances_m(number)
        response = self.response(0)
        arrival = arrivals(response)
        at_start = response[np.arange(len(response)), arrival]
        later = (here_m - start_m) / SPEED_OF_SOUND * self._sample_rate
        return _pulses(arrival + later, at_start * start_m / here_m)

    def _distances_m(self, number: int) -> NDArray[np.float64]:
        """Return how far a place is from each microphone."""
        to_microphones = np.subtract(self._plan.microphones_m, self._way.place(number))
        return np.asarray(np.linalg.norm(to_microphones, axis=1))

    def _first(self, number: int) -> Samples:
        """Return the direct sound and the first reflections from a place."""
        if number not in self._firsts:
            few = replace(self._walls, order=min(_FIRST_ORDERS, self._walls.order))
            self._firsts[number] = self._raw(few, number)
        return self._firsts[number]

    def _other(self, number: int) -> Samples:
        """Return all other reflections from a place: (microphones, taps)."""
        if number not in self._others:
            other = self._raw(self._walls, number)
            _add(other, -self._first(number))
            self._others[number] = other
        return self._others[number]

    def _raw(self, walls: Walls, number: int) -> Samples:
        place = self._way.place(number)
        return raw_responses(self._plan, walls, self._sample_rate, [place])[0]


def _pulses(delays: NDArray[np.float64], gains: NDArray[np.float64]) -> Samples:
    """Return one pulse for each delay in samples, which may have fractions: (pulses, taps).

    Source: windowed sinc, Laakso et al., "Splitting the unit delay", IEEE Signal Processing
    Magazine 13(1), 1996.
    """
    taps = math.ceil(delays.max()) + _PULSE_REACH + 1
    since = np.arange(taps) - delays[:, np.newaxis]  # (pulses, taps)
    window = np.cos(0.5 * np.pi * np.clip(since / _PULSE_REACH, -1, 1)) ** 2
    return np.asarray(gains[:, np.newaxis] * window * np.sinc(since))


def _add(samples: Samples, others: Samples) -> None:
    """Add others to samples (channels, time) as far as these go, in place."""
    frames = min(samples.shape[1], others.shape[1])
    samples[:, :frames] += others[:, :frames]
